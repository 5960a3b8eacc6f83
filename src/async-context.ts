import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

/** The work that the running code belongs to: a request, or the delivery of an event. */
export interface Work {
  /** Fields of every log line that the work writes: consumer, action, request id, path, user, trace. */
  readonly logFields: Readonly<Record<string, unknown>>;
  /**
   * For a request: its id, unique in the process. A change has the id of the request that made it, so that the requesting connection gets
   * its reply before the event.
   */
  readonly id?: string;
}

/** The current work; undefined outside of any request and delivery. */
export const currentWork = new AsyncLocalStorage<Work>();

/** A context without any work, because nothing ever runs in it. */
const outside = new AsyncResource('signalbox.outside');

const runOutside: <T>(work: () => T) => T = outside.runInAsyncScope.bind(outside);

/** Runs work outside of the caller's request, transaction and trace: in the async context in which this module was loaded. */
export const runDetached = keepsContexts() ? runOutside : runInNewScope;

function runInNewScope<T>(work: () => T): T {
  const scope = outside.runInAsyncScope(() => new AsyncResource('signalbox.detached'));
  return scope.runInAsyncScope(work);
}

/**
 * Whether the context of a resource stays as it was. Before Node 24, `run` writes into the scope of the resource, and the same resource
 * inside of it reads what was written.
 */
function keepsContexts(): boolean {
  const probe = new AsyncLocalStorage<true>();
  const found = runOutside(() => probe.run(true, () => runOutside(() => probe.getStore())));
  probe.disable();
  return found === undefined;
}
