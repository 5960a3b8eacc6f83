import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Runs work outside of the request, the transaction and the trace around whoever calls. Taken at start-up, when there is none of
 * them.
 */
export const outside: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();
