import { AsyncLocalStorage } from 'node:async_hooks';

/** Writes that the application has said it announces. */
export const announced = new AsyncLocalStorage<true>();
