import type { Clock, Timer } from '../clock.js';
import { TimeLimitExceeded } from '../errors.js';

interface Running {
  readonly due: number;
  readonly expire: () => void;
}

/** Ends what takes longer than a time that is the same for all of it: one timer, however much runs. */
export class SharedTimeLimit {
  readonly #clock: Clock;
  readonly #time: number;
  /** What was begun first is due first. */
  readonly #running = new Set<Running>();
  #timer: Timer | undefined;

  /** @param time in milliseconds */
  constructor(clock: Clock, time: number) {
    this.#clock = clock;
    this.#time = time;
  }

  /**
   * Settles with the work, or rejects when its time is over.
   *
   * @param late told what the work throws afterwards
   * @throws TimeLimitExceeded
   */
  hold<T>(work: Promise<T>, late: (error: unknown) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      const running = { due: this.#clock.elapsed() + this.#time, expire: () => reject(new TimeLimitExceeded()) };
      this.#begin(running);
      work.then(
        (result) => {
          this.#end(running);
          resolve(result);
        },
        (error) => (this.#end(running) ? reject(error) : late(error)),
      );
    });
  }

  #begin(running: Running): void {
    this.#running.add(running);
    this.#timer ??= this.#clock.after(this.#time, () => this.#expire());
  }

  /** @returns whether its time was not over */
  #end(running: Running): boolean {
    const isInTime = this.#running.delete(running);
    if (this.#running.size === 0) this.#stop();
    return isInTime;
  }

  #expire(): void {
    this.#stop();
    const now = this.#clock.elapsed();
    for (const running of this.#running) {
      if (running.due > now) {
        this.#timer = this.#clock.after(running.due - now, () => this.#expire());
        return;
      }
      this.#running.delete(running);
      running.expire();
    }
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
