/** Listeners to one thing. */
export class Emitter<Values extends unknown[]> {
  readonly #listeners = new Set<(...values: Values) => void>();

  get size(): number {
    return this.#listeners.size;
  }

  /** @returns ends the listening */
  readonly on = (listener: (...values: Values) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  };

  /** What a listener throws is reported like what an event listener throws, and keeps nothing from the others. */
  emit(...values: Values): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...values);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
