/** Nobody is logged in, or the token expired. */
export const unauthenticatedCode = 4401;
/** The server is overloaded. */
export const overloadedCode = 1013;
/** Before which an overloaded server is not tried again. */
export const overloadedDelay = 10_000;

/** Our own mistakes, which the next socket would repeat. */
const mistakes = [1002, 1003, 1007, 1008, 1009, 1010];
/** A consumer too slow for its events. */
const slowReaderCode = 4408;

/** Whether another socket may fare better. What an application closes with (1000, 3000 to 4999) is its last word. */
export function mayReconnectAfter(code: number): boolean {
  return code === slowReaderCode || (code > 1000 && code < 3000 && !mistakes.includes(code));
}
