export interface Timer {
  cancel(): void;
}

/** What time it is, and what happens later. Inject it; the testing kit has one that a spec moves by hand. */
export class Clock {
  now(): Date {
    return new Date();
  }

  /** Calls back once after so many milliseconds. A waiting timer does not keep the process alive. */
  after(milliseconds: number, callback: () => void): Timer {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }
}
