import { Clock, type Timer } from '../clock.js';

interface Alarm {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until a spec moves it: `container.registerInstance(Clock, new TestClock())`. */
export class TestClock extends Clock {
  readonly #alarms = new Set<Alarm>();
  #time: number;

  constructor(start: Date = new Date('2026-01-01T00:00:00Z')) {
    super();
    this.#time = start.getTime();
  }

  /** The number of waiting callbacks. */
  get waiting(): number {
    return this.#alarms.size;
  }

  override now(): Date {
    return new Date(this.#time);
  }

  override elapsed(): number {
    return this.#time;
  }

  override after(milliseconds: number, callback: () => void): Timer {
    const alarm = { at: this.#time + milliseconds, callback };
    this.#alarms.add(alarm);
    return { cancel: () => this.#alarms.delete(alarm) };
  }

  /** Moves the clock, and calls back everything that becomes due, in the order of its time. */
  advance(milliseconds: number): void {
    const end = this.#time + milliseconds;
    for (let due = this.#next(end); due; due = this.#next(end)) {
      this.#alarms.delete(due);
      this.#time = Math.max(this.#time, due.at);
      due.callback();
    }
    this.#time = Math.max(this.#time, end);
  }

  /** Lets time pass while the process does nothing, as if it were blocked: due callbacks run later. */
  stand(milliseconds: number): void {
    this.#time += milliseconds;
  }

  #next(end: number): Alarm | undefined {
    return [...this.#alarms].filter(({ at }) => at <= end).sort((one, other) => one.at - other.at)[0];
  }
}
