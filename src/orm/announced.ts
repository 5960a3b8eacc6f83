import { AsyncLocalStorage } from 'node:async_hooks';

/** Is set while the application runs writes that it announces by `announce()`: such writes cause no warning. */
export const announced = new AsyncLocalStorage<true>();
