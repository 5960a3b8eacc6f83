import type { Clock, Timer } from '../clock.js';
import type { Identity } from '../scope/identity.js';
import { isOver } from './authentication.js';

/** How late it is noticed at most that the clock was put forward. */
const longestWait = 10_000;

/**
 * When to look for connections whose time is up: one timer for all of them, at the full second in which the next one ends.
 * It counts by the clock, so that it follows where the clock is put forward or back.
 */
export class Expiry {
  readonly #clock: Clock;
  readonly #expire: (now: Date) => Iterable<Identity | undefined>;
  #due = Number.POSITIVE_INFINITY;
  #timer: Timer | undefined;

  /** @param expire ends whatever has expired, and tells the identities that there are */
  constructor(clock: Clock, expire: (now: Date) => Iterable<Identity | undefined>) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** Notes that somebody's time ends at some time. */
  watch(identity: Identity | undefined): void {
    const due = endOf(identity);
    if (due >= this.#due) return;
    this.#due = due;
    this.#wait();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(): void {
    this.stop();
    const wait = Math.max(0, this.#due - this.#clock.now().getTime());
    this.#timer = this.#clock.after(Math.min(wait, longestWait), () => this.#look());
  }

  #look(): void {
    const now = this.#clock.now();
    this.#due = Number.POSITIVE_INFINITY;
    for (const identity of this.#expire(now)) {
      if (identity && !isOver(identity, now)) this.#due = Math.min(this.#due, endOf(identity));
    }
    this.#timer = undefined;
    if (this.#due < Number.POSITIVE_INFINITY) this.#wait();
  }
}

/** The full second in which it ends: the ends of one second are one. */
function endOf(identity: Identity | undefined): number {
  if (!identity?.expiresAt) return Number.POSITIVE_INFINITY;
  return Math.ceil((identity.expiresAt.getTime() || 0) / 1_000) * 1_000;
}
