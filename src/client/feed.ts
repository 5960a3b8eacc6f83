/** Items that come one after the other and wait for whoever iterates over them; one iterator at a time. */
export class Feed<T> {
  readonly #items: T[] = [];
  #isOver = false;
  #wake = (): void => {};

  get size(): number {
    return this.#items.length;
  }

  push(item: T): void {
    this.#items.push(item);
    this.#wake();
  }

  /** No item comes any more. */
  end(): void {
    this.#isOver = true;
    this.#wake();
  }

  takeAll(): T[] {
    return this.#items.splice(0);
  }

  /**
   * @param result what the iterator returns, or throws, after the last item
   * @param leave called when the iterator is left, early or not
   */
  async *iterate<Result>(result: () => Result | Promise<Result>, leave: () => void): AsyncGenerator<T, Result, void> {
    try {
      for (;;) {
        if (this.size > 0) yield this.#items.shift() as T;
        else if (this.#isOver) return await result();
        else
          await new Promise<void>((wake) => {
            this.#wake = wake;
          });
      }
    } finally {
      leave();
    }
  }
}
