import { runDetached } from './async-context.js';

/** A call that `Clock.after` has put off. */
export interface Timer {
  /** The callback is not called any more. Does nothing once it was called. */
  cancel(): void;
}

/** The longest delay of `setTimeout`, in milliseconds; a longer one would fire at once. */
export const longestDelay = 2_147_483_647;

/** What time it is, and what happens later. Inject it; the testing kit has one that a spec moves by hand. */
export class Clock {
  /** The date and time of the system. It may leap when the system's time is set: take `elapsed` for durations. */
  now(): Date {
    return new Date();
  }

  /** Milliseconds since some moment, for durations. Unlike `now` it never leaps, also where the system's time is set. */
  elapsed(): number {
    return performance.now();
  }

  /** Calls back once after this many milliseconds, 24.8 days at most. A waiting timer does not keep the process alive. */
  after(milliseconds: number, callback: () => void): Timer {
    const timer = setTimeout(callback, Math.min(milliseconds, longestDelay));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }
}

/** Something that has to end in time. */
export interface Expiring {
  /** Whether it has ended, so that its time limit is of no interest any more. */
  readonly isOver: boolean;
  /** When it is due, by `Clock.elapsed`; set by `Deadlines`. */
  due: number;
  /** Set by `Deadlines` where it outlasts the turn of the event loop in which it began; the code that ends the work cancels it. */
  timer: Timer | undefined;
  /** Called once where it has not ended in time. */
  expire(): void;
}

/** What `limit` rejects with, and what is called with the error of work that fails after it was given up. */
export interface Limit {
  readonly milliseconds: number;
  readonly error: () => Error;
  readonly onLate?: (error: unknown) => void;
}

/**
 * The one way to give work a time limit. Nearly all work is over within the turn of the event loop in which it began, be it a
 * request or the delivery of an event; that costs an entry in a list, and no timer.
 */
export class Deadlines {
  #begun: Expiring[] = [];

  constructor(private readonly clock: Clock) {}

  /** @param now by `Clock.elapsed` */
  begin(work: Expiring, milliseconds: number, now = this.clock.elapsed()): void {
    work.due = now + milliseconds;
    if (this.#begun.length === 0) setImmediate(this.#armLater);
    this.#begun.push(work);
  }

  /**
   * Settles with the work, or rejects when its time is over. The work goes on all the same.
   *
   * @throws what `limit.error` makes
   */
  limit<T>(work: Promise<T>, { milliseconds, error, onLate = () => {} }: Limit): Promise<T> {
    return new Promise((resolve, reject) => {
      const running = new Running(() => reject(error()));
      this.begin(running, milliseconds);
      work.then(
        (result) => {
          running.end();
          resolve(result);
        },
        (thrown) => {
          if (running.isOver) onLate(thrown);
          running.end();
          reject(thrown);
        },
      );
    });
  }

  /** Whether the work settles, either way, within this many milliseconds. Keeps the process alive meanwhile. */
  async settles(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
    const { promise: late, resolve } = Promise.withResolvers<false>();
    const timer = this.clock.after(milliseconds, () => resolve(false));
    const alive = setInterval(() => {}, longestDelay);
    const settled = Promise.allSettled([work]).then(() => true);
    try {
      return await Promise.race([settled, late]);
    } finally {
      timer.cancel();
      clearInterval(alive);
    }
  }

  readonly #armLater = (): void => {
    const begun = this.#begun.filter(({ isOver }) => !isOver);
    this.#begun = [];
    // A timer keeps the async context in which it is made, and with it the request and its transaction.
    if (begun.length > 0) runDetached(() => this.#arm(begun));
  };

  #arm(begun: readonly Expiring[]): void {
    const now = this.clock.elapsed();
    for (const work of begun) {
      if (work.due <= now) work.expire();
      else work.timer = this.clock.after(work.due - now, () => work.expire());
    }
  }
}

/** Work of `limit`. */
class Running implements Expiring {
  isOver = false;
  due = 0;
  timer: Timer | undefined;

  constructor(private readonly onExpired: () => void) {}

  expire(): void {
    this.isOver = true;
    this.onExpired();
  }

  end(): void {
    this.isOver = true;
    this.timer?.cancel();
  }
}

/** Deadlines by the time of the machine, for what has to end although a spec stands the clock of the application still. */
export const machineDeadlines = new Deadlines(new Clock());
