import { connect } from 'node:net';
import fc from 'fast-check';
import { within } from '../support/deadline.js';
import { RawWebSocket } from '../support/raw-web-socket.js';
import { upgradeRequest } from '../support/sockets.js';
import { anyBytes, spoiltFrom } from '../support/spoilt-frames.js';
import type { Random } from './random.js';
import { people } from './world.js';

/** Frames as clients send them, none of which logs anybody in or subscribes. */
const valid = [
  '{"stream":"desk","payload":{"action":"play","request_id":1,"moves":[]}}',
  '{"stream":"rows","payload":{"action":"list","request_id":"b"}}',
  '{"stream":"rows","payload":{"action":"retrieve","request_id":2,"pk":1}}',
  '{"stream":"club","payload":{"action":"play_detached","request_id":3,"moves":[{"do":"read"}]}}',
  '{"stream":"account","payload":{"action":"cancel","request_id":4,"target":1}}',
  '{"stream":"desk","payload":{"action":"unsubscribe","request_id":5,"target":3}}',
  '{"action":"ping","request_id":6}',
];

const spoilt = spoiltFrom(valid);
const bytes = fc.array(anyBytes(valid), { minLength: 1, maxLength: 6 });
const upgrade = upgradeRequest('/ws/');

function sample<T>(arbitrary: fc.Arbitrary<T>, random: Random): T {
  const [value] = fc.sample(arbitrary, { numRuns: 1, seed: random.below(2 ** 31) });
  if (value === undefined) throw new Error('Nothing was made.');
  return value;
}

/** A text that is nearly a frame. */
export function spoiltFrame(random: Random): string {
  return sample(spoilt, random);
}

/** Cuts bytes anywhere. */
function split(all: Buffer, random: Random): readonly Buffer[] {
  const cuts = [random.below(all.length + 1), random.below(all.length + 1)].sort((one, other) => one - other);
  return [all.subarray(0, cuts[0]), all.subarray(cuts[0], cuts[1]), all.subarray(cuts[1])].filter(
    ({ length }) => length > 0,
  );
}

/**
 * Sends bytes that are no WebSocket: behind the handshake, or in place of it. Every choice is made before the call returns.
 *
 * @returns a promise that rejects where the server does not end the socket of a client that has ended, or answers what it should not
 */
export function vandalize(port: number, random: Random): Promise<void> {
  const frames = Buffer.concat(sample(bytes, random));
  const parts = split(frames, random);
  if (random.chance(0.3)) return vandalizeHandshake(port, random, frames);
  return vandalizeSocket(port, `/ws/?user=${random.pick(people)}`, parts, random.chance(0.5));
}

async function vandalizeSocket(
  port: number,
  path: string,
  parts: readonly Buffer[],
  isTogether: boolean,
): Promise<void> {
  const [first = Buffer.alloc(0), ...others] = parts;
  let client: RawWebSocket;
  try {
    client = await RawWebSocket.open(port, path, isTogether ? first : Buffer.alloc(0));
  } catch (error) {
    // The user has too many connections, or is being kicked.
    if (/^HTTP\/1.1 (401|429) /.test(String((error as Error).message))) return;
    throw error;
  }
  for (const part of isTogether ? others : parts) client.write(part);
  client.end();
  await client.rest();
  client[Symbol.dispose]();
}

/** A request for the upgrade with other bytes in it, cut off anywhere. */
async function vandalizeHandshake(port: number, random: Random, frames: Buffer): Promise<void> {
  const at = random.below(upgrade.length);
  const text = Buffer.from(upgrade);
  const variants = [
    () => text.subarray(0, at),
    () => Buffer.concat([text.subarray(0, at), frames, text.subarray(at)]),
    () => Buffer.concat([text.subarray(0, at), text.subarray(at + random.below(8))]),
    () => frames,
  ];
  const pieces = split(random.pick(variants)(), random);
  const socket = connect({ port, host: '127.0.0.1' });
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  socket.on('error', () => {});
  socket.resume();
  for (const piece of pieces) socket.write(piece);
  socket.end();
  await within(closed, `The end of a socket that sent ${JSON.stringify(text.toString('latin1'))}`);
}
