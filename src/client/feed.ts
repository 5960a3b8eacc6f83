/** Items that come one after the other and wait for whoever iterates over them; one iterator at a time. */
export class Feed<T, Result> {
  readonly #items: T[] = [];
  readonly #result: Promise<Result>;
  #isOver = false;
  #wake = (): void => {};

  /** @param result settles once no item comes any more */
  constructor(result: Promise<Result>) {
    this.#result = result;
  }

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  takeAll(): T[] {
    return this.#items.splice(0);
  }

  /** @param leave called when the iterator is left, early or not */
  async *iterate(leave: () => void): AsyncGenerator<T, Result, void> {
    const over = (): void => {
      this.#isOver = true;
      this.#wake();
    };
    // Not before: a rejection that nobody looks at has to stay an unhandled one.
    this.#result.then(over, over);
    try {
      while (this.#items.length > 0 || !this.#isOver) {
        if (this.#items.length > 0) yield this.#items.shift() as T;
        else await new Promise<void>((wake) => (this.#wake = wake));
      }
      return await this.#result;
    } finally {
      leave();
    }
  }
}
