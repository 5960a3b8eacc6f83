import fc from 'fast-check';
import { closeBytes, frameBytes } from './raw-web-socket.js';

const tokens = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u005f_proto__', '\\ud800', '"__proto__":', '"action":"echo",'],
  ...[
    '"request_id":null,',
    '"stream":"words",',
    '"payload":{',
    '1e400',
    '-0',
    '9007199254740993',
    'null',
    '\u0000',
    '\u2028',
  ],
  ...['['.repeat(40), '"constructor":{"prototype":', '"then"', '{"toString":1}', ' ', '\u{1f600}', '0'],
];

interface Spoiling {
  readonly at: number;
  readonly length: number;
  readonly put: string;
}

/** Cuts some signs out and puts others in, or a JSON value in the place of another. */
function spoil(frame: string, { at, length, put }: Spoiling): string {
  const start = Math.floor(at * frame.length);
  return frame.slice(0, start) + put + frame.slice(start + length);
}

function replaceValue(frame: string, at: number, value: string): string {
  const values = [...frame.matchAll(/(?<=:)("[^"]*"|\d+|\[[^\]]*\])/g)];
  const { index = 0, 0: old = '' } = values[Math.floor(at * values.length)] ?? {};
  return frame.slice(0, index) + value + frame.slice(index + old.length);
}

const at = fc.double({ min: 0, max: 0.999, noNaN: true });
const spoiling = fc.record({
  at,
  length: fc.integer({ min: 0, max: 6 }),
  put: fc.oneof(fc.constantFrom('', ...tokens), fc.string({ maxLength: 4 })),
});
/** Texts that are nearly frames of a client, or any JSON. */
export const spoiltFrom = (frames: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...frames), fc.array(spoiling, { maxLength: 4 }))
      .map(([frame, all]) => all.reduce(spoil, frame)),
    fc
      .tuple(fc.constantFrom(...frames), at, fc.json({ maxDepth: 4 }))
      .map(([frame, place, json]) => replaceValue(frame, place, json)),
    fc.json(),
  );

const bits = fc.record({
  fin: fc.boolean(),
  reserved: fc.constantFrom(0, 0, 0, 4, 1),
  opcode: fc.constantFrom(0, 1, 1, 1, 2, 3, 8, 9, 10, 11),
  isMasked: fc.constantFrom(true, true, true, false),
});
/** Bytes that are frames of a client, or nearly, or not at all. */
export const anyBytes = (valid: readonly string[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    fc.constantFrom(...valid).map((text) => frameBytes(text)),
    fc.tuple(fc.constantFrom(...valid, ''), bits).map(([text, some]) => frameBytes(text, some)),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), bits)
      .map(([length, some]) => frameBytes('x', { ...some, length, lengthBytes: 8 })),
    fc.integer({ min: 0, max: 5_000 }).map((code) => closeBytes(code)),
    fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some)),
    fc.tuple(fc.constantFrom(...valid), at, fc.nat(255)).map(([text, place, byte]) => {
      const frame = frameBytes(text);
      frame[Math.floor(place * frame.length)] = byte;
      return frame;
    }),
  );
