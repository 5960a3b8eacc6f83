import { AsyncLocalStorage } from 'node:async_hooks';

/** What the running code works for: a request, or the delivery of an event. */
export interface Work {
  /** Stand in every log line that is written meanwhile: consumer, action, request id, path, user, trace. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /**
   * Of a request: tells it from every other one of the process. A change bears the id of the request that made it, so that the
   * connection that asked for it hears its reply first and the event after it.
   */
  readonly id?: string;
}

/** Undefined outside of any request and delivery. */
export const currentWork = new AsyncLocalStorage<Work>();

/**
 * Runs work outside of the request, the transaction and the trace of the caller. The snapshot is taken when the module is loaded,
 * where there is none of them.
 */
export const runDetached: <T>(work: () => T) => T = AsyncLocalStorage.snapshot();
