import fc from 'fast-check';

/** How many times as many runs as in an everyday `npm test`: `PROPERTY_RUNS=100 npm test`. */
const factor = Number(process.env.PROPERTY_RUNS ?? 1);

/** Tells the failing example, its seed and how to run it again: `PROPERTY_SEED=… PROPERTY_PATH=…`. */
function parameters(runs: number): fc.Parameters<unknown> {
  const { PROPERTY_SEED: seed, PROPERTY_PATH: path } = process.env;
  return {
    numRuns: runs * factor,
    ...(seed !== undefined && { seed: Number(seed) }),
    ...(path !== undefined && { path }),
  };
}

/** @throws Error with the smallest example that fails, and its seed */
export function checkProperty<T>(property: fc.IProperty<T>, runs = 300): void {
  fc.assert(property, parameters(runs) as fc.Parameters<T>);
}

export async function checkAsyncProperty<T>(property: fc.IAsyncProperty<T>, runs = 100): Promise<void> {
  await fc.assert(property, parameters(runs) as fc.Parameters<T>);
}
