export interface Timer {
  cancel(): void;
}

/** The longest delay of `setTimeout`, in milliseconds; a longer one would fire at once. */
export const longestDelay = 2_147_483_647;

/** What time it is, and what happens later. Inject it; the testing kit has one that a spec moves by hand. */
export class Clock {
  now(): Date {
    return new Date();
  }

  /** Milliseconds since some moment, for durations. Unlike `now` it never leaps, also where the system's time is set. */
  elapsed(): number {
    return performance.now();
  }

  /** Calls back once after so many milliseconds, 24.8 days at most. A waiting timer does not keep the process alive. */
  after(milliseconds: number, callback: () => void): Timer {
    const timer = setTimeout(callback, Math.min(milliseconds, longestDelay));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }
}
