import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

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

/** Nothing is ever run in it, so that it stays without a context. */
const outside = new AsyncResource('signalbox.outside');

/**
 * Runs work outside of the request, the transaction and the trace of the caller. What is detached is what there is when this module is
 * loaded, where there is none of them.
 */
export const runDetached: <T>(work: () => T) => T = keepsSnapshots() ? AsyncLocalStorage.snapshot() : runInNewScope;

function runInNewScope<T>(work: () => T): T {
  const scope = outside.runInAsyncScope(() => new AsyncResource('signalbox.detached'));
  return scope.runInAsyncScope(work);
}

/** Before Node 24, `run` writes into the scope of a snapshot, and the same snapshot within it finds what was written. */
function keepsSnapshots(): boolean {
  const probe = new AsyncLocalStorage<true>();
  const snapshot = AsyncLocalStorage.snapshot();
  const found = snapshot(() => probe.run(true, () => snapshot(() => probe.getStore())));
  probe.disable();
  return found === undefined;
}
