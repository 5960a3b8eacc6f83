import type { Clock, Timer } from '../clock.js';
import { TimeLimitExceeded } from '../errors.js';

interface Running {
  readonly due: number;
  readonly expire: () => void;
  isOver: boolean;
}

/**
 * Ends what takes longer than a time that is the same for all of it: one timer, however much runs. It is asked for every event
 * of every client, nearly all of which are over within the turn of the event loop in which they began: those cost an entry in a list.
 */
export class SharedTimeLimit {
  readonly #clock: Clock;
  readonly #time: number;
  /** What was begun in this turn of the event loop. */
  #begun: Running[] = [];
  /** What goes on since an earlier one; the first is due first. */
  readonly #running = new Set<Running>();
  #timer: Timer | undefined;

  /** @param time in milliseconds */
  constructor(clock: Clock, time: number) {
    this.#clock = clock;
    this.#time = time;
  }

  /**
   * Runs work, and settles with it or rejects when its time is over.
   *
   * @param late told what the work throws afterwards
   * @throws TimeLimitExceeded
   */
  hold(work: () => Promise<unknown> | void, late: (error: unknown) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const begun = work();
      if (!begun) {
        resolve();
        return;
      }
      const running = this.#begin(() => reject(new TimeLimitExceeded()));
      begun.then(
        () => {
          this.#end(running);
          resolve();
        },
        (error) => {
          if (running.isOver) late(error);
          else reject(error);
          this.#end(running);
        },
      );
    });
  }

  #begin(expire: () => void): Running {
    const running = { due: this.#clock.elapsed() + this.#time, expire, isOver: false };
    if (this.#begun.length === 0) setImmediate(() => this.#turn());
    this.#begun.push(running);
    return running;
  }

  #end(running: Running): void {
    running.isOver = true;
    if (this.#running.delete(running) && this.#running.size === 0) this.#stop();
  }

  #turn(): void {
    const begun = this.#begun;
    this.#begun = [];
    for (const running of begun) if (!running.isOver) this.#running.add(running);
    if (!this.#timer) this.#expire();
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
      running.isOver = true;
      running.expire();
    }
  }

  #stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
