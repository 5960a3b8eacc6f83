import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Exchange } from '../dispatch/exchange.js';
import type { Logger } from '../logger.js';
import type { ObserverMessage } from '../observers/recheck-message.js';
import type { SubscriptionRecord } from '../observers/subscriptions.js';
import { type Arrival, type ArrivalParts, Arrivals } from './arrivals.js';
import { EventGate, type GateParts } from './event-gate.js';

export interface DeliveryParts extends ArrivalParts, GateParts {
  readonly dispatcher: Pick<Dispatcher, 'runHook' | 'deliver' | 'noteRefusal'>;
  readonly logger: Logger;
  /** The request that a change came from, while its reply is still due on this consumer. */
  readonly findPending: (origin: string) => Exchange | undefined;
}

const rememberedChanges = 256;

/**
 * Changes from the channel layer -> frames, one per subscription, in the order in which they came. An event waits for the
 * reply of the request that caused it, and for the reply of the request that subscribed.
 */
export class Deliveries {
  readonly #parts: DeliveryParts;
  readonly #arrivals: Arrivals;
  readonly #gate: EventGate;
  readonly #tasks: (() => Promise<void> | void)[] = [];
  readonly #seen = new Set<string>();
  readonly #unconfirmed = new Map<SubscriptionRecord, Arrival[]>();
  readonly #waiters: (() => void)[] = [];
  #isBusy = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#arrivals = new Arrivals(parts);
    this.#gate = new EventGate(parts);
  }

  /** A channel in several groups of one change gets it several times; the copies are known by their id. */
  receive(message: ObserverMessage): void {
    if (this.#seen.has(message.id)) return;
    this.#seen.add(message.id);
    if (this.#seen.size > rememberedChanges) this.#forgetOldest();
    this.#tasks.push(
      () => this.#awaitOrigin(message),
      () => this.#deliverAll(this.#arrivals.of(message)),
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

  #awaitOrigin({ origin }: ObserverMessage): Promise<void> | void {
    const pending = origin === undefined ? undefined : this.#parts.findPending(origin);
    if (pending) return new Promise((resolve) => pending.whenEnded(() => resolve()));
  }

  /** A promise only where something has to be waited for. */
  #deliverAll(arrivals: readonly Arrival[]): Promise<void> | void {
    const waiting: Arrival[] = [];
    for (const arrival of arrivals) {
      const kept = this.#unconfirmed.get(arrival.record);
      if (kept) kept.push(arrival);
      else if (waiting.length > 0 || !this.#gate.sendAtOnce(arrival)) waiting.push(arrival);
    }
    if (waiting.length > 0) return this.#handleAll(waiting);
  }

  async #handleAll(arrivals: readonly Arrival[]): Promise<void> {
    for (const arrival of arrivals) {
      try {
        await this.#handle(arrival);
      } catch (error) {
        const { observer, requestId } = arrival.record;
        this.#parts.logger.error('An event could not be delivered.', {
          observer: observer.id,
          requestId,
          ...('pk' in arrival && { pk: arrival.pk }),
          error,
        });
      }
    }
  }

  #handle(arrival: Arrival): Promise<void> {
    const { dispatcher } = this.#parts;
    if ('isRecheck' in arrival) return dispatcher.runHook(() => this.#gate.recheck(arrival));
    const { record, message } = arrival;
    return dispatcher.deliver(record.observer.id, message.cause, () => this.#gate.deliver(arrival));
  }

  #forgetOldest(): void {
    for (const id of this.#seen) {
      this.#seen.delete(id);
      return;
    }
  }
}
