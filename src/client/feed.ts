import { createEmitter, type Listen } from './emitter.js';

/** Items that come one after the other: for listeners, or kept for the first listener or loop. */
export interface Feed {
  /** @returns how many are kept */
  push(item: unknown): number;
  readonly listen: Listen<[item: unknown]>;
  /** Gives the items until it is over, and then the result, or throws it. To leave it early is to end it. */
  iterate<Result>(result: () => Result | Promise<Result>): AsyncGenerator<unknown, Result, void>;
  /** It may be over by now. */
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
