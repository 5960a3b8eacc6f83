/** Listens to one thing. @returns ends the listening */
export type Listen<Values extends unknown[]> = (listener: (...values: Values) => void) => () => void;

/** Calls all listeners. @returns how many were called */
export type Tell<Values extends unknown[]> = (...values: Values) => number;

export function createEmitter<Values extends unknown[]>(): readonly [Listen<Values>, Tell<Values>] {
  const listeners = new Set<(...values: Values) => void>();
  const listen: Listen<Values> = (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  // What a listener throws is reported like what an event listener throws, and keeps nothing from the others.
  const tell: Tell<Values> = (...values) => {
    const { size } = listeners;
    for (const listener of [...listeners]) {
      try {
        listener(...values);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
    return size;
  };
  return [listen, tell];
}
