import { setTimeout as passed } from 'node:timers/promises';
import { isPassingFailure } from './orm-errors.js';

/** How long the first wait takes, and the longest one, in milliseconds. Each takes twice as long as the one before. */
const firstWait = 50;
const longestWait = 1_000;

export interface Patience {
  /** For how many milliseconds behind the first failure the work is tried again. */
  readonly timeLimit: number;
  /** Asked behind a failure: false where no one needs the work any more, or where it must not be done twice. */
  readonly isWanted?: () => boolean;
}

/**
 * Does work again for as long as the database fails in passing: an event must not be lost because a server restarts. The work begins anew each
 * time, so that what it has done before it failed must not count.
 *
 * @throws what stays, at once; what fails in passing, once that has gone on for the time limit
 */
export async function outlastFailures<T>(work: () => Promise<T>, { timeLimit, isWanted }: Patience): Promise<T> {
  let end: number | undefined;
  for (let wait = firstWait; ; wait = Math.min(2 * wait, longestWait)) {
    try {
      return await work();
    } catch (error) {
      if (!isPassingFailure(error) || isWanted?.() === false) throw error;
      end ??= performance.now() + timeLimit;
      if (performance.now() + wait > end) throw error;
    }
    await passed(wait, undefined, { ref: false });
  }
}
