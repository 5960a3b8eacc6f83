import type { Exchange } from './exchange.js';

/** Requests of one consumer, answered in the order in which they came. Detached ones do not hold up those behind them. */
export class RequestQueue {
  #tail: Promise<void> = Promise.resolve();
  #open: readonly Exchange[] = [];

  /** Requests that wait or run. */
  get open(): readonly Exchange[] {
    return this.#open;
  }

  /** How many wait that do not hold up others, or run. */
  get detached(): number {
    return this.#open.filter(({ isDetached }) => isDetached).length;
  }

  /** How many wait for those before them. */
  get waiting(): number {
    return this.#open.filter(({ isDetached, isStarted }) => !isDetached && !isStarted).length;
  }

  /** How many are answered and not over yet. */
  get ending(): number {
    return this.#open.filter(({ isStarted, isEnded }) => isStarted && isEnded).length;
  }

  /** @param run never rejects */
  add(exchange: Exchange, run: () => Promise<void>): void {
    this.#open = this.#open.concat(exchange);
    this.#tail = this.#tail.then(async () => {
      const done = this.#run(exchange, run);
      if (!exchange.isDetached) await done;
    });
  }

  /** Work of the consumer itself, such as its connect hook, in line with the requests. */
  addWork(work: () => Promise<void>): Promise<void> {
    this.#tail = this.#tail.then(work);
    return this.#tail;
  }

  async #run(exchange: Exchange, run: () => Promise<void>): Promise<void> {
    if (!exchange.isEnded) await run();
    this.#open = this.#open.filter((other) => other !== exchange);
  }
}
