/** Listens to one thing. @returns ends the listening */
export type Listen<Values extends unknown[]> = (listener: (...values: Values) => void) => () => void;

/** Tells all listeners. @returns how many were told */
export type Tell<Values extends unknown[]> = (...values: Values) => number;

export function createEmitter<Values extends unknown[]>(): readonly [Listen<Values>, Tell<Values>] {
  const listeners = new Set<(...values: Values) => void>();
  const listen: Listen<Values> = (listener) => {
    const heard = guarded(listener);
    listeners.add(heard);
    return () => void listeners.delete(heard);
  };
  const tell: Tell<Values> = (...values) => {
    const told = [...listeners];
    for (const listener of told) listener(...values);
    return told.length;
  };
  return [listen, tell];
}

/** What a listener throws is reported like what an event listener throws, and keeps nothing from the others. */
export function guarded<Values extends unknown[]>(listener: (...values: Values) => void) {
  return (...values: Values): void => {
    try {
      listener(...values);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  };
}
