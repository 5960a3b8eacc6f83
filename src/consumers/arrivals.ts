import { type ChangeMessage } from '../observers/change-message.js';
import { eventFor } from '../observers/group-diff.js';
import type { Observer } from '../observers/observer.js';
import { isRecheckMessage, type ObserverMessage } from '../observers/recheck-message.js';
import type { SubscriptionRecord, Subscriptions } from '../observers/subscriptions.js';
import { encodeData } from '../wire/codec.js';

/** The commits of this process. */
export interface Commits {
  readonly source: string;
  readonly commits: number;
}

/** What a message is to one subscription. */
export type Arrival = EventArrival | RecheckArrival;

export interface EventArrival {
  readonly record: SubscriptionRecord;
  readonly action: string;
  readonly pk: unknown;
  /** JSON text. */
  readonly data: string;
  /** Of the change, before and after. */
  readonly groups: readonly string[];
}

/** To be asked whether it is still granted. */
export interface RecheckArrival {
  readonly record: SubscriptionRecord;
  readonly groups: readonly string[];
  readonly isRecheck: true;
}

export interface ArrivalParts {
  readonly observers: ReadonlyMap<string, Observer>;
  readonly subscriptions: Subscriptions;
  readonly publisher: Commits;
}

/** Messages of the channel layer -> what they are to each subscription of one consumer. */
export class Arrivals {
  readonly #parts: ArrivalParts;
  readonly #observers: ReadonlyMap<string, Observer>;

  constructor(parts: ArrivalParts) {
    this.#parts = parts;
    this.#observers = new Map([...parts.observers.values()].map((observer) => [observer.id, observer]));
  }

  of(message: ObserverMessage): Arrival[] {
    const observer = this.#observers.get(message.observer);
    if (!observer) return [];
    const records = this.#parts.subscriptions.of(observer);
    return isRecheckMessage(message) ? rechecks(records, message.groups) : this.#events(records, message);
  }

  /** A change that was committed before somebody subscribed may arrive afterwards; it is none of the subscription's. */
  #events(records: readonly SubscriptionRecord[], message: ChangeMessage): EventArrival[] {
    const { before, after, pk, data, source, commit } = message;
    const isOurs = source === this.#parts.publisher.source;
    const arrivals: EventArrival[] = [];
    for (const record of records) {
      const event = isOurs && commit <= record.since ? undefined : eventFor(record.groups, before, after);
      const action = event && (record.observer.signal?.name ?? event);
      if (!action) continue;
      const text = action === 'delete' ? encodeData({ pk }) : (data ?? 'null');
      arrivals.push({ record, action, pk, data: text, groups: [...before, ...after] });
    }
    return arrivals;
  }
}

function rechecks(records: readonly SubscriptionRecord[], groups: readonly string[]): RecheckArrival[] {
  const concerned = records.filter((record) => groups.some((group) => record.groups.has(group)));
  return concerned.map((record) => ({ record, groups, isRecheck: true }));
}
