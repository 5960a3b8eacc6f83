import { createEmitter, type Listen } from './emitter.js';

/** Items in their order, passed to listeners, or kept for the first listener or loop. */
export interface Feed {
  /** @returns how many items are kept */
  push(item: unknown): number;
  readonly listen: Listen<[item: unknown]>;
  /** Yields the items until the feed is over, then returns the result or throws it. Leaving the loop early ends the feed. */
  iterate<Result>(result: () => Result | Promise<Result>): AsyncGenerator<unknown, Result, void>;
  /** Called when there are items or the feed is over. */
  readonly wake: () => void;
}

export function createFeed(isOpen: () => boolean, leave: () => void): Feed {
  const items: unknown[] = [];
  const [listen, tell] = createEmitter<[item: unknown]>();
  let isIterated = false;
  let wake = (): void => {};
  return {
    push(item) {
      if (tell(item) && !isIterated) return 0;
      wake();
      return items.push(item);
    },
    listen(listener) {
      for (const item of items.splice(0)) listener(item);
      return listen(listener);
    },
    async *iterate(result) {
      isIterated = true;
      try {
        while (items.length || isOpen()) {
          if (items.length) yield items.shift();
          else await new Promise<void>((resolve) => (wake = resolve));
        }
        return result();
      } finally {
        leave();
      }
    },
    wake: () => wake(),
  };
}
