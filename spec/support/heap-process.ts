import 'reflect-metadata';
import { Inn } from './comings-and-goings.js';
import { windowsUntilFlat } from './heap-growth.js';

/** How many cycles the process warms up, how many it goes through at most, and whether each of them leaks a reference. */
const [warmUp = 0, most = 0, isLeaky = 0] = process.argv.slice(2).map(Number);

/** The heap when nothing is left to be collected. */
async function heapUsed(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round += 1) {
    await new Promise(setImmediate);
    globalThis.gc?.();
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

/**
 * Tables of weak references grow with the number of objects that came since the last collection, and keep their size. After
 * this many cycles there is a collection.
 */
const between = 250;
const leaked: number[] = [];

async function run(cycles: number): Promise<void> {
  for (let left = cycles; left > 0; left -= between) {
    const some = Math.min(left, between);
    await inn.host(some);
    if (isLeaky) for (let each = 0; each < some; each += 1) leaked.push(each);
    globalThis.gc?.();
  }
}

const inn = await Inn.open();
const windows = await windowsUntilFlat({ run, heapUsed }, { warmUp, most });
await inn.close();
process.send?.(windows);
