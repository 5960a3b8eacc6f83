/** Whether what was thrown is of a class; a revoked proxy, which throws at the question, is of none. */
export function isThrown<T>(thrown: unknown, type: abstract new (...parameters: never[]) => T): thrown is T {
  try {
    return thrown instanceof type;
  } catch {
    return false;
  }
}
