import { AsyncLocalStorage } from 'node:async_hooks';

/** Writes of which somebody has said that they are announced. */
export const announced = new AsyncLocalStorage<true>();
