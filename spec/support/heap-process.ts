import 'reflect-metadata';
import { Inn } from './comings-and-goings.js';

const [cycles = 1_000, windows = 3] = process.argv.slice(2).map(Number);

/** The heap when nothing is left to be collected. */
async function settledHeap(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 8; round += 1) {
    await new Promise(setImmediate);
    globalThis.gc?.();
    least = Math.min(least, process.memoryUsage().heapUsed);
  }
  return least;
}

/** What holds things weakly grows with all that came between two collections, and keeps its size: no more than so many come. */
const between = 1_000;

async function host(guests: number): Promise<void> {
  for (let left = guests; left > 0; left -= between) {
    await inn.host(Math.min(left, between));
    globalThis.gc?.();
  }
}

/** Tells by how many bytes the heap grows in each of several windows of so many cycles, once everything has happened often. */
const inn = await Inn.open();
await host(2 * between);
const growths: number[] = [];
let before = await settledHeap();
for (let window = 0; window < windows; window += 1) {
  await host(cycles);
  const after = await settledHeap();
  growths.push(after - before);
  before = after;
}
await inn.close();
process.send?.(growths);
