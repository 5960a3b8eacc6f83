/** Close code: the client is not logged in, or its token expired. */
export const unauthenticatedCode = 4401;
/** Close code: the server is overloaded. */
export const overloadedCode = 1013;
/** The shortest delay in ms before reconnecting to an overloaded server. */
export const overloadedDelay = 10_000;
/** The code of a socket that died without a close frame. */
export const lostCode = 1006;

/**
 * Whether another socket may succeed. Codes up to 1010 are the client's mistakes, which it would repeat; 1000 and 3000 to 4999 are the
 * application's decision. The others pass: the server stops, no code, a lost connection, a client too slow for its events.
 */
export function mayReconnectAfter(code: number): boolean {
  return [1001, 1005, lostCode, 4408].includes(code) || (code > 1010 && code < 3000);
}
