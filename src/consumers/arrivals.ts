import type { ChangeMessage } from '../observers/change-message.js';
import { eventFor } from '../observers/group-diff.js';
import type { Observer } from '../observers/observer.js';
import { isRecheckMessage, type ObserverMessage } from '../observers/recheck-message.js';
import type { SubscriptionRecord, Subscriptions } from '../observers/subscriptions.js';
import { rightsKey } from '../serializers/field-rights.js';
import { encodeData } from '../wire/codec.js';
import { rightsThrough } from './grants.js';

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
  readonly message: ChangeMessage;
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
  readonly observersById: ReadonlyMap<string, Observer>;
  readonly subscriptions: Subscriptions;
  readonly publisher: Commits;
}

/** Messages of the channel layer -> what they are to each subscription of one consumer. */
export class Arrivals {
  readonly #parts: ArrivalParts;

  constructor(parts: ArrivalParts) {
    this.#parts = parts;
  }

  of(message: ObserverMessage): Arrival[] {
    const observer = this.#parts.observersById.get(message.observer);
    if (!observer) return [];
    const records = this.#parts.subscriptions.of(observer);
    return isRecheckMessage(message) ? rechecks(records, message.groups) : this.#events(records, message);
  }

  /** A change that was committed before somebody subscribed may arrive afterwards; it is none of the subscription's. */
  #events(records: readonly SubscriptionRecord[], message: ChangeMessage): EventArrival[] {
    const { before, after, pk, source, commit } = message;
    const isOurs = source === this.#parts.publisher.source;
    const groups = [...before, ...after];
    const arrivals: EventArrival[] = [];
    for (const record of records) {
      const event = isOurs && commit <= record.since ? undefined : eventFor(record.groups, before, after);
      const action = event && (record.observer.signal?.name ?? event);
      if (action) arrivals.push({ record, action, pk, message, groups });
    }
    return arrivals;
  }
}

/** What is sent of an event, as JSON text, by the rights that its subscription has by now. */
export function textOf({ record, action, pk, message, groups }: EventArrival): string {
  const { serializer, signal } = record.observer;
  const { data = 'null', dataByRights } = message;
  if (action === 'delete' && !signal) return encodeData({ pk });
  if (!serializer || !dataByRights) return data;
  const key = rightsKey(serializer, rightsThrough(record, groups));
  return Object.hasOwn(dataByRights, key) ? (dataByRights[key] ?? data) : data;
}

function rechecks(records: readonly SubscriptionRecord[], groups: readonly string[]): RecheckArrival[] {
  const concerned = records.filter((record) => groups.some((group) => record.groups.includes(group)));
  return concerned.map((record) => ({ record, groups, isRecheck: true }));
}
