import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { Logger } from '../logger.js';
import type { ChangeMessage } from '../observers/change-message.js';
import { type EventAction, eventFor } from '../observers/group-diff.js';
import type { SentEvent, SentSignal, Subscription } from '../observers/model-event.js';
import type { Observer } from '../observers/observer.js';
import type { ObservedEvent, Sight } from '../observers/observer-declaration.js';
import {
  requestsThrough,
  type SubscribingRequest,
  type SubscriptionRecord,
  type Subscriptions,
} from '../observers/subscriptions.js';
import type { Delivery } from '../permissions/permission.js';
import { ActionContext } from '../scope/action-context.js';
import { Status } from '../status.js';
import { encodeData } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import { type GrantParts, Grants } from './grants.js';

/** The commits of this process. */
export interface Commits {
  readonly source: string;
  readonly commits: number;
}

export interface DeliveryParts extends GrantParts {
  readonly consumer: object;
  readonly observers: ReadonlyMap<string, Observer>;
  readonly subscriptions: Subscriptions;
  readonly dispatcher: Pick<Dispatcher, 'runHook'>;
  readonly publisher: Commits;
  readonly logger: Logger;
  /** @param latest tells the row of an event of which only the latest is worth sending */
  readonly send: (reply: Reply, latest?: string) => void;
  /** The request that a change came from, while its reply is still due on this consumer. */
  readonly findPending: (origin: string) => Exchange | undefined;
}

interface Arrival {
  readonly record: SubscriptionRecord;
  readonly action: string;
  readonly pk: unknown;
  /** JSON text. */
  readonly data: string;
  /** Of the change, before and after. */
  readonly groups: readonly string[];
}

type Method = (event: SentEvent | SentSignal, subscription: Subscription) => unknown;

const rememberedChanges = 256;

/**
 * Changes from the channel layer -> frames, one per subscription, in the order in which they came. An event waits for the
 * reply of the request that caused it, and for the reply of the request that subscribed.
 */
export class Deliveries {
  readonly #parts: DeliveryParts;
  readonly #asks: boolean;
  readonly #grants: Grants;
  readonly #observers: ReadonlyMap<string, Observer>;
  readonly #tasks: (() => Promise<void> | void)[] = [];
  readonly #seen = new Set<string>();
  readonly #unconfirmed = new Map<SubscriptionRecord, Arrival[]>();
  readonly #waiters: (() => void)[] = [];
  #isBusy = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#grants = new Grants(parts);
    this.#asks = parts.permissions.asksForDeliveries(parts.scope);
    this.#observers = new Map([...parts.observers.values()].map((observer) => [observer.id, observer]));
  }

  /** A channel in several groups of one change gets it several times; the copies are known by their id. */
  receive(message: ChangeMessage): void {
    if (this.#seen.has(message.id)) return;
    this.#seen.add(message.id);
    if (this.#seen.size > rememberedChanges) this.#forgetOldest();
    this.#tasks.push(
      () => this.#awaitOrigin(message),
      () => this.#deliverAll(this.#arrivalsOf(message)),
    );
    this.#drain();
  }

  /** Keeps the events of a new subscription until its request is answered; after an error answer there are none. */
  holdUntilConfirmed(record: SubscriptionRecord, exchange: Exchange): void {
    const kept: Arrival[] = [];
    this.#unconfirmed.set(record, kept);
    exchange.whenEnded((hasSucceeded) => {
      this.#unconfirmed.delete(record);
      if (hasSucceeded) this.#tasks.unshift(() => this.#deliverAll(kept));
      this.#drain();
    });
  }

  /** Resolves when everything that arrived has been delivered. */
  idle(): Promise<void> {
    if (!this.#isBusy) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** One task after the other; nothing overtakes one that has to wait. */
  #drain(): void {
    while (!this.#isBusy) {
      const task = this.#tasks.shift();
      if (!task) break;
      const done = task();
      if (!done) continue;
      this.#isBusy = true;
      done.finally(() => {
        this.#isBusy = false;
        this.#drain();
      });
    }
    if (!this.#isBusy) this.#rest();
  }

  #rest(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #awaitOrigin({ origin }: ChangeMessage): Promise<void> | void {
    const pending = origin === undefined ? undefined : this.#parts.findPending(origin);
    if (pending) return new Promise((resolve) => pending.whenEnded(() => resolve()));
  }

  /** A change that was committed before somebody subscribed may arrive afterwards; it is none of the subscription's. */
  #arrivalsOf({ observer: id, before, after, pk, data, source, commit }: ChangeMessage): Arrival[] {
    const observer = this.#observers.get(id);
    if (!observer) return [];
    const isOurs = source === this.#parts.publisher.source;
    const arrivals: Arrival[] = [];
    for (const record of this.#parts.subscriptions.of(observer)) {
      const event = isOurs && commit <= record.since ? undefined : eventFor(record.groups, before, after);
      const action = event && (observer.signal?.name ?? event);
      if (action)
        arrivals.push({
          record,
          action,
          pk,
          data: action === 'delete' ? encodeData({ pk }) : (data ?? 'null'),
          groups: [...before, ...after],
        });
    }
    return arrivals;
  }

  /** A promise only where something has to be waited for. */
  #deliverAll(arrivals: readonly Arrival[]): Promise<void> | void {
    const waiting: Arrival[] = [];
    for (const arrival of arrivals) {
      const kept = this.#unconfirmed.get(arrival.record);
      if (kept) kept.push(arrival);
      else if (waiting.length === 0 && !this.#asks && this.#passesThrough(arrival))
        this.#send(arrival.record, arrival.action, arrival.pk, arrival.data);
      else waiting.push(arrival);
    }
    if (waiting.length > 0) return this.#handleAll(waiting);
  }

  async #handleAll(arrivals: readonly Arrival[]): Promise<void> {
    for (const arrival of arrivals) {
      try {
        await this.#parts.dispatcher.runHook(() => this.#handle(arrival));
      } catch (error) {
        const { observer, requestId } = arrival.record;
        this.#parts.logger.error('An event could not be delivered.', {
          observer: observer.id,
          requestId,
          pk: arrival.pk,
          error,
        });
      }
    }
  }

  async #handle(arrival: Arrival): Promise<void> {
    const { record, action, pk, data } = arrival;
    const { consumer, scope, permissions, subscriptions } = this.#parts;
    if (!subscriptions.has(record)) return;
    const { signal } = record.observer;
    const body: unknown = JSON.parse(data);
    const { event: seen, note } = await this.#look(arrival, { action: action as EventAction, pk, data: body });
    if (!seen) return;
    const delivery = { scope, ...seen };
    if (this.#asks && !(await permissions.mayReceive(delivery, contextOf(record, delivery)))) return;
    note();
    const event = signal ? { signal: signal.name, data: body } : seen;
    const method: Method = Reflect.get(consumer, record.observer.member);
    await method.call(consumer, event, {
      requestId: record.requestId,
      kwargs: record.kwargs,
      scope,
      send: async (sent) => this.#send(record, 'signal' in sent ? sent.signal : sent.action, pk, encodeData(sent.data)),
    });
  }

  #passesThrough({ record, groups }: Arrival): boolean {
    return record.observer.passesThrough && !this.#narrowing(record, groups);
  }

  /** The request that has to be asked which rows its subscription may see; none where it sees all of them. */
  #narrowing(record: SubscriptionRecord, groups: readonly string[]): SubscribingRequest | undefined {
    const { visibility } = record.observer;
    const [request] = visibility ? requestsThrough(record, groups) : [];
    return request && (visibility?.isNarrowed || this.#grants.asksForObject(request)) ? request : undefined;
  }

  async #look({ record, groups }: Arrival, event: ObservedEvent): Promise<Sight> {
    const { visibility, serializer } = record.observer;
    const request = this.#narrowing(record, groups);
    if (!visibility || !request) return { event, isRefused: false, note: () => {} };
    return visibility.look(this.#parts.consumer, event, {
      subscription: record,
      context: this.#grants.contextOf(record, request),
      ...(serializer && { serializer }),
      maySee: (row) => this.#grants.maySee(record, request, row),
    });
  }

  #send(record: SubscriptionRecord, action: string, pk: unknown, data: string): void {
    if (!this.#parts.subscriptions.has(record)) return;
    const status = action === 'delete' && !record.observer.signal ? Status.noContent : Status.ok;
    const { observer, requestId } = record;
    const row = observer.latest ? JSON.stringify([observer.id, requestId, pk]) : undefined;
    this.#parts.send({ action, requestId, status, data, errors: [] }, row);
  }

  #forgetOldest(): void {
    for (const id of this.#seen) {
      this.#seen.delete(id);
      return;
    }
  }
}

/** An event as the action that a permission is asked for. */
function contextOf({ requestId, kwargs }: SubscriptionRecord, { scope, action }: Delivery): ActionContext {
  const { signal } = new AbortController();
  return new ActionContext({ scope, action, requestId, kwargs: { ...(kwargs as object) }, signal });
}
