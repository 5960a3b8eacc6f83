/** Items that have arrived, and callers that wait for one, always with a deadline. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #waiting = new Set<() => void>();

  get size(): number {
    return this.#items.length;
  }

  put(item: T): void {
    this.#items.push(item);
    for (const look of [...this.#waiting]) look();
  }

  /**
   * Takes the first item that fits.
   *
   * @throws Error after `timeout` milliseconds, showing the items that arrived
   */
  take(timeout: number, fits: (item: T) => boolean = () => true): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const index = this.#items.findIndex(fits);
        if (index === -1) return;
        settle();
        resolve(this.#items.splice(index, 1)[0] as T);
      };
      const settle = (): void => {
        clearTimeout(deadline);
        this.#waiting.delete(look);
      };
      const deadline = setTimeout(() => {
        settle();
        reject(new Error(`Nothing fitting arrived within ${timeout} ms. There is: ${JSON.stringify(this.#items)}`));
      }, timeout);
      this.#waiting.add(look);
      look();
    });
  }

  takeAll(): T[] {
    return this.#items.splice(0);
  }
}
