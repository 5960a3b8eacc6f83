import type { Dispatcher } from '../dispatch/dispatcher.js';
import { Revoked } from '../errors.js';
import type { EventAction } from '../observers/group-diff.js';
import type { SentEvent, SentSignal, Subscription } from '../observers/model-event.js';
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
import { encodeData, errorReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import { type Arrival, type EventArrival, type RecheckArrival, textOf } from './arrivals.js';
import type { EventBodies, EventBody } from './event-bodies.js';
import { type GrantParts, Grants, rightsThrough } from './grants.js';

export interface GateParts extends GrantParts {
  readonly bodies: EventBodies;
  readonly dispatcher: Pick<Dispatcher, 'noteRefusal'>;
  readonly subscriptions: Subscriptions;
  /** @param latest tells the row of an event of which only the latest is worth sending */
  readonly send: (reply: Reply, latest?: string) => void;
}

type Method = (event: SentEvent | SentSignal, subscription: Subscription) => Promise<void> | void;

/** One event and one subscription: past what may refuse it, to the observer's method, to a frame. */
export class EventGate {
  readonly #parts: GateParts;
  readonly #grants: Grants;
  /** Whether a permission has an opinion on deliveries. */
  readonly #asks: boolean;

  constructor(parts: GateParts) {
    this.#parts = parts;
    this.#grants = new Grants(parts);
    this.#asks = parts.permissions.asksForDeliveries(parts.scope);
  }

  /** Sends what nobody has to be asked for. @returns whether it did */
  sendAtOnce(arrival: Arrival): boolean {
    if ('isRecheck' in arrival || this.#asks) return false;
    const { record, action, pk } = arrival;
    if (!record.observer.passesThrough || this.#isAsked(arrival)) return false;
    this.#send(record, action, pk, textOf(arrival));
    return true;
  }

  /**
   * A promise only where there is something to wait for: with ten thousand listeners each counts.
   *
   * @returns false where somebody refused
   */
  pass(arrival: Arrival): Promise<boolean | void> | void {
    if (!this.#parts.subscriptions.has(arrival.record)) return;
    if ('isRecheck' in arrival) return this.#recheck(arrival);
    return this.#isAsked(arrival) ? this.#deliver(arrival) : this.#deliverUnasked(arrival);
  }

  /** Whether somebody is to be asked for this event. */
  #isAsked(arrival: EventArrival): boolean {
    return this.#asks || arrival.record.observer.revocations.length > 0 || this.#narrowing(arrival) !== undefined;
  }

  async #recheck({ record, groups }: RecheckArrival): Promise<boolean> {
    const holds = (await this.#grants.holds(record, groups)) && (await this.#grants.holdsForRows(record, groups));
    if (holds) await this.#grants.askRights(record, groups);
    else await this.#revoke(record);
    return holds;
  }

  async #deliver(arrival: EventArrival): Promise<boolean> {
    const { record } = arrival;
    await this.#askRights(arrival);
    const body = this.#bodyOf(arrival);
    const sight = await this.#look(arrival, eventOf(arrival, body));
    if (await this.#isLost(arrival, sight)) return this.#revoke(record);
    if (!sight.event) return true;
    if (!(await this.#mayReceive(arrival, sight.event))) return this.#noteRefusal(arrival);
    sight.note();
    await this.#hand(arrival, sight.event, body);
    return true;
  }

  #deliverUnasked(arrival: EventArrival): Promise<void> | void {
    const body = this.#bodyOf(arrival);
    return this.#hand(arrival, eventOf(arrival, body), body);
  }

  #bodyOf(arrival: EventArrival): EventBody {
    return this.#parts.bodies.of(textOf(arrival));
  }

  /** To the observer's method. What it sends on as it came has its text already. */
  #hand({ record, pk }: EventArrival, observed: ObservedEvent, body: EventBody): Promise<void> | void {
    const { consumer, scope } = this.#parts;
    const { observer, requestId, kwargs } = record;
    const event = observer.signal ? { signal: observer.signal.name, data: observed.data } : observed;
    const send = async (sent: SentEvent | SentSignal): Promise<void> => {
      const text = sent.data === body.data ? body.text : encodeData(sent.data);
      this.#send(record, 'signal' in sent ? sent.signal : sent.action, pk, text);
    };
    const method: Method = Reflect.get(consumer, observer.member);
    return method.call(consumer, event, { requestId, kwargs, scope, send });
  }

  /** With what every request sent through which the event comes. */
  async #mayReceive({ record, groups }: EventArrival, event: ObservedEvent): Promise<boolean> {
    if (!this.#asks) return true;
    const delivery = { scope: this.#parts.scope, ...event };
    for (const { kwargs } of requestsThrough(record, groups)) {
      if (!(await this.#parts.permissions.mayReceive(delivery, contextOf(record, kwargs, delivery)))) return false;
    }
    return true;
  }

  async #askRights({ record, groups }: EventArrival): Promise<void> {
    if (record.observer.revocations.length > 0) await this.#grants.askRights(record, groups);
  }

  /** Asked once the data are there: what is read later than a permission might be what it would refuse. */
  async #isLost({ record, groups }: EventArrival, { isRefused }: Sight): Promise<boolean> {
    if (record.observer.revocations.length === 0) return false;
    return isRefused || !(await this.#grants.holds(record, groups));
  }

  /** The request that has to be asked which rows its subscription may see; none where it sees all of them. */
  #narrowing({ record, groups }: EventArrival): SubscribingRequest | undefined {
    const { visibility } = record.observer;
    const [request] = visibility ? requestsThrough(record, groups) : [];
    return request && (visibility?.isNarrowed || this.#grants.asksForObject(request)) ? request : undefined;
  }

  async #look(arrival: EventArrival, event: ObservedEvent): Promise<Sight> {
    const { record } = arrival;
    const { visibility, serializer } = record.observer;
    const request = this.#narrowing(arrival);
    if (!visibility || !request) return { event, isRefused: false, note: () => {} };
    return visibility.look(this.#parts.consumer, event, {
      subscription: record,
      context: this.#grants.contextOf(record, request),
      ...(serializer && { serializer }),
      maySee: (row) => this.#grants.maySee(record, request, row),
      rights: async () => {
        await this.#askRights(arrival);
        return rightsThrough(record, arrival.groups);
      },
    });
  }

  #noteRefusal({ record, action }: EventArrival): false {
    const { dispatcher, scope } = this.#parts;
    dispatcher.noteRefusal(scope, { observer: record.observer.id, event: action, requestId: record.requestId });
    return false;
  }

  /** All that the request id asked for has ended, and its client is told once. */
  async #revoke(record: SubscriptionRecord): Promise<false> {
    const { subscriptions, send } = this.#parts;
    const { requestId } = record;
    // Its client may have ended it while a permission was asked.
    if (!subscriptions.has(record)) return false;
    const ended = subscriptions.end(requestId);
    send(errorReply(new Revoked(), { action: 'revoked', requestId }));
    await ended;
    return false;
  }

  #send(record: SubscriptionRecord, action: string, pk: unknown, data: string): void {
    if (!this.#parts.subscriptions.has(record)) return;
    const status = action === 'delete' && !record.observer.signal ? Status.noContent : Status.ok;
    const { observer, requestId } = record;
    const row = observer.latest ? JSON.stringify([observer.id, requestId, pk]) : undefined;
    this.#parts.send({ action, requestId, status, data, errors: [] }, row);
  }
}

function eventOf({ action, pk }: EventArrival, { data }: EventBody): ObservedEvent {
  return { action: action as EventAction, pk, data };
}

/** An event as the action that a permission is asked for. */
function contextOf({ requestId }: SubscriptionRecord, kwargs: unknown, { scope, action }: Delivery): ActionContext {
  const { signal } = new AbortController();
  return new ActionContext({ scope, action, requestId, kwargs: { ...(kwargs as object) }, signal });
}
