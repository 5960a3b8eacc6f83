import { AsyncLocalStorage } from 'node:async_hooks';

/** What every log line tells that is written while a request is worked for: who asked, what, and in which trace. */
export const logContext = new AsyncLocalStorage<Readonly<Record<string, unknown>>>();
