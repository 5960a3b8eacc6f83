/** The client is not logged in, or its token expired. */
export const unauthenticatedCode = 4401;
/** The server is overloaded. */
export const overloadedCode = 1013;
/** Before which an overloaded server is not tried again. */
export const overloadedDelay = 10_000;
/** A socket that died without a word. */
export const lostCode = 1006;

/**
 * Whether another socket may fare better. Our own mistakes (up to 1010) it would repeat, and what an application closes with
 * (1000, 3000 to 4999) is its last word; but the server leaves, no code, lost, and a client that was too slow for its events
 * pass.
 */
export function mayReconnectAfter(code: number): boolean {
  return [1001, 1005, lostCode, 4408].includes(code) || (code > 1010 && code < 3000);
}
