import { runDetached } from './async-context.js';

/** A scheduled call of `Clock.after`. */
export interface Timer {
  /** Cancels the call. Does nothing after it. */
  cancel(): void;
}

/** The longest delay of `setTimeout`, in milliseconds; a longer one would fire at once. */
export const longestDelay = 2_147_483_647;

/** The time, and timers. Inject it; the testing kit has a clock that a spec moves by hand. */
export class Clock {
  /** The date and time of the system. It may jump when the system's time is set; use `elapsed` for durations. */
  now(): Date {
    return new Date();
  }

  /** Milliseconds since an arbitrary moment, for durations. Unlike `now` it never jumps when the system's time is set. */
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

/**
 * The application's clock, as the framework uses it. Its errors do not reach the work that it measures: while it fails, the clock of the
 * machine goes on. Its timers run outside of the async context in which they are set, because most of them serve many connections: otherwise
 * they would keep a request with its transaction, and write its user into the log lines of others.
 */
export class GuardedClock extends Clock {
  /** The last time of the clock, and how far it was ahead of the machine's when it failed. */
  #last = 0;
  #ahead: number | undefined;

  /** @param onFailure called when the clock fails, once until it works again */
  constructor(
    private readonly clock: Clock,
    private readonly onFailure: (error: unknown) => void,
  ) {
    super();
  }

  override now(): Date {
    try {
      return this.clock.now();
    } catch (error) {
      this.#fail(error);
      return super.now();
    }
  }

  override elapsed(): number {
    try {
      this.#last = this.clock.elapsed();
      this.#ahead = undefined;
      return this.#last;
    } catch (error) {
      return super.elapsed() + this.#fail(error);
    }
  }

  override after(milliseconds: number, callback: () => void): Timer {
    return runDetached(() => this.#after(milliseconds, callback));
  }

  #after(milliseconds: number, callback: () => void): Timer {
    try {
      return this.clock.after(milliseconds, callback);
    } catch (error) {
      this.#fail(error);
      return super.after(milliseconds, callback);
    }
  }

  #fail(error: unknown): number {
    if (this.#ahead !== undefined) return this.#ahead;
    this.#ahead = this.#last - super.elapsed();
    this.onFailure(error);
    return this.#ahead;
  }
}

/** Work with a time limit. */
export interface Expiring {
  /** Whether it has ended, so that its time limit no longer matters. */
  readonly isOver: boolean;
  /** When its time is over, by `Clock.elapsed`; set by `Deadlines`. */
  due: number;
  /** Set by `Deadlines` if it outlasts the turn of the event loop in which it began; the code that ends the work cancels it. */
  timer: Timer | undefined;
  /** Called once if it has not ended in time. */
  expire(): void;
}

/** The time limit of a promise. */
export interface Limit {
  readonly milliseconds: number;
  /** Makes the error for work that exceeds it. */
  readonly error: () => Error;
  /** Called with an error that the work throws later. */
  readonly onLate?: (error: unknown) => void;
}

/**
 * The one way to give work a time limit. Nearly all work ends within the turn of the event loop in which it began, be it a request or the
 * delivery of an event; then the limit costs an entry in a list, and no timer.
 */
export class Deadlines {
  #begun: Expiring[] = [];

  constructor(private readonly clock: Clock) {}

  /** @param now by `Clock.elapsed` */
  begin(work: Expiring, milliseconds: number, now = this.clock.elapsed()): void {
    work.due = now + milliseconds;
    // A timer keeps the async context in which it is made, and with it the request and its transaction.
    if (this.#begun.length === 0) runDetached(() => setImmediate(this.#armLater));
    this.#begun.push(work);
  }

  /**
   * Settles with the work, or rejects when its time is over, while the work continues.
   *
   * @throws the error that `limit.error` makes
   */
  limit<T>(work: Promise<T>, limit: Limit): Promise<T> {
    return new Promise((resolve, reject) => this.follow(work, limit, resolve, reject));
  }

  /** Like `limit`, for work that no code awaits: calls back once, and makes no promise beside that of `then`. */
  follow<T>(work: Promise<T>, limit: Limit, succeed: (result: T) => void, fail: (error: unknown) => void): void {
    const running = new Running(limit, fail);
    work.then(
      (result) => {
        if (running.ends()) succeed(result);
      },
      (error) => {
        if (running.ends()) fail(error);
        else limit.onLate?.(error);
      },
    );
    this.begin(running, limit.milliseconds);
  }

  /** Whether the work settles within this many milliseconds, fulfilled or rejected. Keeps the process alive meanwhile. */
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
    if (begun.length > 0) this.#arm(begun);
  };

  #arm(begun: readonly Expiring[]): void {
    const now = this.clock.elapsed();
    for (const work of begun) {
      if (work.due <= now) work.expire();
      else work.timer = this.clock.after(work.due - now, () => work.expire());
    }
  }
}

/** Work of `limit` and `follow`. */
class Running implements Expiring {
  isOver = false;
  due = 0;
  timer: Timer | undefined;

  constructor(
    private readonly limit: Limit,
    private readonly fail: (error: unknown) => void,
  ) {}

  expire(): void {
    this.isOver = true;
    this.fail(this.limit.error());
  }

  /** Ends it. Returns false if its time was over before. */
  ends(): boolean {
    if (this.isOver) return false;
    this.isOver = true;
    this.timer?.cancel();
    return true;
  }
}

/** Deadlines by the machine's time, for work that has to end even if a spec stops the application's clock. */
export const machineDeadlines = new Deadlines(new Clock());
