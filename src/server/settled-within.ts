import { Clock } from '../clock.js';

/** Whether the work is settled before so many milliseconds have passed. A clock of nobody's keeps the process alive meanwhile. */
export async function settledWithin(work: Promise<unknown>, milliseconds: number, clock?: Clock): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = waiting(milliseconds, () => resolve(false), clock);
  const settled = Promise.allSettled([work]).then(() => true);
  try {
    return await Promise.race([settled, late]);
  } finally {
    timer.cancel();
  }
}

function waiting(milliseconds: number, callback: () => void, clock: Clock | undefined): ReturnType<Clock['after']> {
  if (clock) return clock.after(milliseconds, callback);
  const timer = setTimeout(callback, milliseconds);
  return { cancel: () => clearTimeout(timer) };
}
