import type { ModelChange } from '../log/entry.js';
import type { Observer } from './observer.js';

/** What one commit, or one signal, is to one observer: on its way to the subscriptions in the groups before and after it. */
export interface EventMessage {
  readonly observer: Observer;
  /** The number of the commit among those whose events this process has sent: for logs, and for developers. */
  readonly commit: number;
  /** The read of the change log that found it; Infinity where it does not come from there. */
  readonly batch: number;
  readonly pk: unknown;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** All of them, each once. */
  readonly groups: readonly string[];
  /** JSON text, encoded once. Absent where the row is in no group any more. */
  readonly data?: string;
  /** The data for clients with rights, keyed by what rightsKey makes of these. */
  readonly dataByRights?: Readonly<Record<string, string>>;
  /** Of an observer that judges the row as it was. */
  readonly change?: ModelChange;
  /** The request that caused it. */
  readonly origin?: string;
  /** The trace of the commit, as W3C `traceparent`; absent where nothing is traced. */
  readonly cause?: string;
}

/** Asks the subscriptions in some groups of an observer whether they are still granted. */
export interface RecheckMessage {
  readonly observer: Observer;
  readonly recheck: readonly string[];
  readonly origin?: string;
}

export type ObserverMessage = EventMessage | RecheckMessage;
