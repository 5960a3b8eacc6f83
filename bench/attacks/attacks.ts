import { frameBytes } from '../../spec/support/raw-web-socket.js';

/** Bytes of one text frame that the server accepts. */
const largest = 65_000;

const text = (x: unknown): string => JSON.stringify({ action: 'echo', request_id: 1, x });
const filled = <T>(count: number, value: T): T[] => Array.from({ length: count }, () => value);

const keys = text(filled(52, Object.fromEntries(filled(150, 0).map((zero, index) => [`k${index}`, zero]))));
const escapes = text(filled(900, '\u0001\n\u0001\n\u0001\n\u0001\n'));

/** What an attacker sends on one connection, again and again. */
export const attacks: Readonly<Record<string, Buffer>> = {
  /** Objects of many keys, in frames of 64 KiB: what is dearest to read as JSON. */
  keys: masked(keys),
  /** Strings of escapes. */
  escapes: masked(escapes),
  /** Requests such as clients send them. */
  small: Buffer.concat(filled(1_000, masked(text(1)))),
  /** The smallest frames there are. */
  empty: Buffer.concat(filled(10_000, masked(''))),
  pings: Buffer.concat(filled(10_000, frameBytes('', { opcode: 9 }))),
  /** A frame that ends the connection, and bytes behind it. */
  garbage: Buffer.concat([frameBytes('', { reserved: 4 }), Buffer.alloc(largest)]),
};

/** Browsers mask with a random key; a mask of zeros would spare the server the work. */
function masked(content: string): Buffer {
  const bytes = frameBytes(content);
  const payload = Buffer.byteLength(content);
  if (payload > largest) throw new Error(`A frame of ${payload} bytes is too large.`);
  const head = bytes.length - payload;
  const key = [0x37, 0xfa, 0x21, 0x3d];
  bytes.set(key, head - 4);
  for (let index = 0; index < payload; index += 1)
    bytes[head + index] = (bytes[head + index] ?? 0) ^ (key[index % 4] ?? 0);
  return bytes;
}
