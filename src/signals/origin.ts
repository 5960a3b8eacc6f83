import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * Which request the running code works for. A change bears the origin of the request that made it, so that the connection
 * that asked for it hears its reply first and the event after it.
 */
export const origin = new AsyncLocalStorage<string>();
