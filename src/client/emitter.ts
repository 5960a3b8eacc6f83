/**
 * Adds a listener.
 *
 * @returns a function that removes it
 */
export type Listen<Values extends unknown[]> = (listener: (...values: Values) => void) => () => void;

/**
 * Calls all listeners.
 *
 * @returns how many were called
 */
export type Tell<Values extends unknown[]> = (...values: Values) => number;

export function createEmitter<Values extends unknown[]>(): readonly [Listen<Values>, Tell<Values>] {
  const listeners = new Set<(...values: Values) => void>();
  const listen: Listen<Values> = (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  };
  // An error of a listener is reported as an uncaught one, like that of an event listener; the other listeners still run.
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
