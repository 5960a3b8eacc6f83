import fc from 'fast-check';
import { population } from './population.js';

/**
 * How many times as many runs as in an everyday `npm test`, and where to begin:
 * `PROPERTY_RUNS=100 PROPERTY_SEED=42 npm test`. A failure tells its seed, its path and the smallest example.
 */
const { PROPERTY_RUNS: factor = '1', PROPERTY_SEED: givenSeed, PROPERTY_PATH: path } = process.env;

function parameters<T>(runs: number): fc.Parameters<T> {
  const seed = Number(givenSeed ?? Date.now() % 2 ** 31);
  // A long run that takes the process with it has said where it began.
  if (factor !== '1') process.stderr.write(`      seed ${seed}\n`);
  return { numRuns: runs * Number(factor), seed, includeErrorInReport: true, ...(path !== undefined && { path }) };
}

/** @throws Error with the smallest example that fails, and its seed */
export function checkProperty<T>(property: fc.IProperty<T>, runs = 300): void {
  fc.assert(property, parameters<T>(runs));
}

/**
 * Likewise, with a quarter of the runs in `npm test`. A spec that is to run long needs more time: `this.timeout(0)`.
 *
 * @param shrinking for how many milliseconds, all runs among them, a smaller example is looked for
 */
export async function checkAsyncProperty<T>(
  property: fc.IAsyncProperty<T>,
  runs = 100,
  shrinking?: number,
): Promise<void> {
  const limit = shrinking === undefined ? {} : { interruptAfterTimeLimit: shrinking * Number(factor) };
  await fc.assert(property, { ...parameters<T>(population(runs)), ...limit });
}
