import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** The bytes that this process holds after a collection: those of objects, and of the buffers that objects own. */
export function memoryHeld(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The same once what was sent and received before is gone too: buffers of sockets take some turns of the event loop. */
export async function memoryKept(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 4; round += 1) {
    await nextTurn();
    least = Math.min(least, memoryHeld());
  }
  return least;
}
