import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * For how many milliseconds a spec waits for what has to happen. What is sound happens much sooner: this is the time after
 * which a spec that hangs says what it waits for. It has to suffice on a busy machine, and be less than mocha's own limit.
 */
export const patience = 20_000;

/** Settles with the promise, or fails with what was waited for. @param milliseconds for work that takes long by itself */
export async function within<T>(promise: Promise<T>, what: string, milliseconds = patience): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than ${milliseconds} ms.`)), milliseconds);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Lets the event loop turn until the condition holds, or fails with what was waited for. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + patience;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what} took longer than ${patience} ms.`);
    await nextTurn();
  }
}
