import { setTimeout as passed } from 'node:timers/promises';
import { isPassingFailure } from './orm-errors.js';

/** The first and the longest wait between attempts, in milliseconds; each wait is twice as long as the one before. */
const firstWait = 50;
const longestWait = 1_000;

export interface Patience {
  /** Milliseconds after the first failure in which the work is tried again. */
  readonly timeLimit: number;
  /** Called after a failure; false if no one needs the work any more, or if it must not be done twice. */
  readonly isWanted?: () => boolean;
}

/**
 * Repeats work while the database fails temporarily: an event must not be lost because a server restarts. Each attempt starts from the
 * beginning, so a failed attempt must leave no effects.
 *
 * @throws a permanent failure at once, and a temporary one after the time limit
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
