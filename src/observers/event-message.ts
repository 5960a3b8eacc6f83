import type { ModelChange } from '../log/entry.js';
import type { Observer } from './observer.js';

/** One commit or one signal, for one observer: sent to the subscriptions in its groups before and after the change. */
export interface EventMessage {
  readonly observer: Observer;
  /** The number of the commit among those whose events this process has sent, for logs and the explorer. */
  readonly commit: number;
  /** The read of the change log that found the commit; Infinity if it does not come from the log. */
  readonly batch: number;
  readonly pk: unknown;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** All groups, each once. */
  readonly groups: readonly string[];
  /** The event's data as JSON text, encoded once. Undefined if the row is in no group any more. */
  readonly data?: string;
  /** The data for clients with rights, by the key that rightsKey makes of these. */
  readonly dataByRights?: Readonly<Record<string, string>>;
  /** The change itself, for an observer that judges the row as it was before. */
  readonly change?: ModelChange;
  /** The request that caused the event. */
  readonly origin?: string;
  /** The trace of the commit, as W3C `traceparent`; undefined without tracing. */
  readonly cause?: string;
}

/** Asks again whether the subscriptions in some groups of an observer are still allowed. */
export interface RecheckMessage {
  readonly observer: Observer;
  readonly recheck: readonly string[];
  readonly origin?: string;
}

export type ObserverMessage = EventMessage | RecheckMessage;
