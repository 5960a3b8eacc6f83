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

/** A subscription whose request is not answered, and the events that wait for that. */
interface Unconfirmed {
  readonly record: SubscriptionRecord;
  readonly kept: Arrival[];
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
  #seen: Set<string> | undefined;
  #unconfirmed: readonly Unconfirmed[] = [];
  readonly #waiters: (() => void)[] = [];
  #isBusy = false;
  #isEnded = false;

  constructor(parts: DeliveryParts) {
    this.#parts = parts;
    this.#arrivals = new Arrivals(parts);
    this.#gate = new EventGate(parts);
  }

  /** Copies of a message are known by their id. */
  receive(message: ObserverMessage): void {
    if (message.id !== undefined && this.#isKnown(message.id)) return;
    this.#tasks.push(() => this.#deliver(message));
    this.#drain();
  }

  /** Keeps the events of a new subscription until its request is answered; after an error answer there are none. */
  holdUntilConfirmed(record: SubscriptionRecord, exchange: Exchange): void {
    const unconfirmed: Unconfirmed = { record, kept: [] };
    this.#unconfirmed = this.#unconfirmed.concat(unconfirmed);
    exchange.whenEnded((hasSucceeded) => {
      this.#unconfirmed = this.#unconfirmed.filter((other) => other !== unconfirmed);
      if (hasSucceeded && !this.#isEnded) this.#tasks.unshift(() => this.#deliverAll(unconfirmed.kept));
      this.#drain();
    });
  }

  /** How many changes have to wait for what is being delivered, or for the reply that confirms their subscription. */
  get waiting(): number {
    return this.#unconfirmed.reduce((sum, { kept }) => sum + kept.length, this.#tasks.length);
  }

  /** Drops what waits. */
  end(): void {
    this.#isEnded = true;
    this.#tasks.length = 0;
    this.#unconfirmed = [];
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
      void done.then(this.#resume, this.#resume);
    }
    if (!this.#isBusy) this.#rest();
  }

  readonly #resume = (): void => {
    this.#isBusy = false;
    this.#drain();
  };

  #rest(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #deliver(message: ObserverMessage): Promise<void> | void {
    const { origin } = message;
    const pending = origin === undefined ? undefined : this.#parts.findPending(origin);
    if (!pending) return this.#deliverAll(this.#arrivals.of(message));
    this.#tasks.unshift(() => this.#deliverAll(this.#arrivals.of(message)));
    return pending.ended;
  }

  /** A promise only where something has to be waited for. */
  #deliverAll(arrivals: readonly Arrival[]): Promise<void> | void {
    const waiting: Arrival[] = [];
    for (const arrival of arrivals) {
      const unconfirmed = this.#unconfirmed.find(({ record }) => record === arrival.record);
      if (unconfirmed) unconfirmed.kept.push(arrival);
      else if (waiting.length > 0 || !this.#gate.sendAtOnce(arrival)) waiting.push(arrival);
    }
    if (waiting.length > 0) return this.#handleAll(waiting);
  }

  async #handleAll(arrivals: readonly Arrival[]): Promise<void> {
    for (const arrival of arrivals) {
      if (this.#isEnded) return;
      await this.#handle(arrival);
    }
  }

  /** Never rejects. */
  #handle(arrival: Arrival): Promise<void> {
    return this.#run(arrival).catch((error) => {
      const { observer, requestId } = arrival.record;
      const row = 'pk' in arrival ? { pk: arrival.pk } : {};
      this.#parts.logger.error('An event could not be delivered.', { observer: observer.id, requestId, ...row, error });
    });
  }

  /** Without a trace to tell of, nothing is spent on one. */
  #run(arrival: Arrival): Promise<void> {
    const { dispatcher } = this.#parts;
    const pass = (): Promise<boolean | void> | void => this.#gate.pass(arrival);
    const cause = 'message' in arrival ? arrival.message.cause : undefined;
    if (cause === undefined) return dispatcher.runHook(pass);
    return dispatcher.deliver(arrival.record.observer.id, cause, pass);
  }

  #isKnown(id: string): boolean {
    this.#seen ??= new Set();
    if (this.#seen.has(id)) return true;
    this.#seen.add(id);
    if (this.#seen.size > rememberedChanges) this.#forgetOldest(this.#seen);
    return false;
  }

  #forgetOldest(seen: Set<string>): void {
    for (const id of seen) {
      seen.delete(id);
      return;
    }
  }
}
