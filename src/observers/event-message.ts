import type { ModelChange } from '../log/entry.js';
import type { EventAction } from './model-event.js';
import type { Observer } from './observer.js';

/** What one commit, or one signal, is to one observer: on its way to the subscriptions in the groups before and after it. */
export interface EventMessage {
  readonly observer: Observer;
  /** Which commit of those that this process has told: for logs, and for developers. */
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
  /** The same for those who have more than the least rights, by what rightsKey makes of these. */
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

/**
 * What a change means to a subscription that listens to some of the groups: in none before and in one after is a create, in one before
 * and in none after a delete, in both an update, in neither nothing.
 */
export function eventFor(
  listening: readonly string[],
  before: readonly string[],
  after: readonly string[],
): EventAction | undefined {
  const was = meets(listening, before);
  const is = meets(listening, after);
  if (was && is) return 'update';
  if (is) return 'create';
  return was ? 'delete' : undefined;
}

function meets(listening: readonly string[], groups: readonly string[]): boolean {
  for (const group of groups) if (listening.includes(group)) return true;
  return false;
}
