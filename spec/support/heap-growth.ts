/** A number of cycles that a program went through, and the bytes by which its heap grew meanwhile. */
export interface Window {
  readonly cycles: number;
  readonly growth: number;
}

export interface Measured {
  /** Goes through so many cycles. */
  readonly run: (cycles: number) => Promise<void>;
  /** The bytes of the heap that are in use. */
  readonly heapUsed: () => Promise<number>;
}

/** One reference takes 8 bytes, so no leak is slower than that. What comes and goes between two collections is below one. */
const bytesPerCycle = 1;

/** A heap that shrinks is not flat either: the program still warms up, and what it gives back could hide a leak. */
export function isFlat({ cycles, growth }: Window): boolean {
  return Math.abs(growth) < bytesPerCycle * cycles;
}

/**
 * Runs a program until its heap is flat for a whole window, but no longer than `most` cycles. A program that leaks has no
 * flat window.
 *
 * A heap grows for two reasons. While the program warms up, code and caches are filled; that ends, but after a number of
 * cycles that differs from machine to machine and from run to run. A leak does not end. So no window with a fixed place
 * can be judged, and an average over several of them neither: the warm-up may fall into any.
 *
 * Each window is as long as everything before it. A leak then shows in every window, in whatever way the program keeps the
 * leaked references: an array or a map grows in rare, large steps, by half or to double its size, so it would pass for flat
 * between two steps. While the number of its elements doubles, it takes at least one step.
 */
export async function windowsUntilFlat(
  { run, heapUsed }: Measured,
  { warmUp, most }: { readonly warmUp: number; readonly most: number },
): Promise<readonly Window[]> {
  const windows: Window[] = [];
  await run(warmUp);
  let before = await heapUsed();
  for (let cycles = warmUp; 2 * cycles <= most; cycles *= 2) {
    await run(cycles);
    const after = await heapUsed();
    const window = { cycles, growth: after - before };
    windows.push(window);
    if (isFlat(window)) break;
    before = after;
  }
  return windows;
}
