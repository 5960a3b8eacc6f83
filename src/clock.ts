export interface Timer {
  cancel(): void;
}

/** What Node's timers can count; they take a longer time for no time at all. */
const longestWait = 2_147_483_647;

/** What time it is, and what happens later. Inject it; the testing kit has one that a spec moves by hand. */
export class Clock {
  now(): Date {
    return new Date();
  }

  /** Milliseconds since some moment. Unlike `now` it never leaps: for how long something takes, whoever sets the time. */
  elapsed(): number {
    return performance.now();
  }

  /** Calls back once after so many milliseconds, 24.8 days at most. A waiting timer does not keep the process alive. */
  after(milliseconds: number, callback: () => void): Timer {
    const timer = setTimeout(callback, Math.min(milliseconds, longestWait));
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }
}
