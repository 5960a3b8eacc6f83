import type { ActivityLog, WithheldEvent } from '../activity-log.js';
import { runDetached } from '../async-context.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { Request } from '../dispatch/request.js';
import { Revoked } from '../errors.js';
import type { DeliveryDecision, DeliveryInspector, PermissionAnswer } from '../inspection.js';
import type { Logger } from '../logger.js';
import type { EventMessage, ObserverMessage } from '../observers/event-message.js';
import type { EventAction, SentEvent, SentSignal, Subscription } from '../observers/model-event.js';
import { shortGroups } from '../observers/observer.js';
import type { ObservedEvent, Viewer, VisibleEvent } from '../observers/observer-declaration.js';
import type { SubscribingRequest, SubscriptionRecord, Subscriptions } from '../observers/subscriptions.js';
import { isPassingFailure } from '../orm/orm-errors.js';
import { outlastFailures } from '../orm/passing-failures.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { userKeyOf } from '../scope/scope.js';
import { rightsKey } from '../serializers/field-rights.js';
import type { ChangeLogSettings } from '../settings.js';
import { Status } from '../status.js';
import { encodeData, errorReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import {
  type AuthorizedSession,
  type DeliveryPlan,
  type Question,
  rightsThrough,
  SubscriptionAuthorizer,
} from './subscription-authorizer.js';

/** The session whose subscriptions receive the events. */
export interface SubscribedSession extends AuthorizedSession {
  readonly subscriptions: Subscriptions;
  readonly services: {
    readonly dispatcher: Dispatcher;
    readonly logger: Logger;
    readonly activity: ActivityLog | undefined;
    readonly settings: { readonly changeLog: Pick<ChangeLogSettings, 'retryTimeLimit'> };
  } & AuthorizedSession['services'];
  readonly unitOfWork: UnitOfWork;
  readonly runningRequests: readonly Request[];
  /** Whether one more event, with this many bytes of text, may wait; if not, the connection is closed. */
  hasRoom(bytes: number): boolean;
  /** Called when an event was missed: closes the connection, so that its client reads again. */
  missEvent(): void;
  readonly stream: string | undefined;
  /** Undefined unless the explorer watches the connection. */
  readonly inspector: DeliveryInspector | undefined;
  /** @param latest names the row of an event of which only the latest is worth sending */
  send(reply: Reply, latest?: string): void;
}

/** A message for one subscription. */
type Arrival = EventArrival | RecheckArrival;

/** The state of a waiting message. Thousands may wait, so it is no object of its own. */
interface Waiting {
  readonly record: SubscriptionRecord;
  /** The request that caused it, while its reply has to leave first. */
  origin: string | undefined;
  /** Bytes of its text, unless another waiting message has the same text. */
  bytes: number;
}

interface EventArrival extends Waiting {
  readonly action: string;
  readonly message: EventMessage;
  /** Whether a frame of it has left: then it is not tried again. */
  isSent: boolean;
}

/** A recheck of a subscription. */
interface RecheckArrival extends Waiting {
  readonly groups: readonly string[];
  readonly isRecheck: true;
}

/** A subscription whose request is not answered yet, and its waiting events. */
interface Unconfirmed {
  readonly record: SubscriptionRecord;
  readonly kept: Arrival[];
}

/** The data of an event, and their JSON text. */
interface EventBody {
  readonly text: string;
  readonly data: unknown;
}

/** An event that its subscription may receive. */
interface GrantedEvent {
  readonly event: ObservedEvent;
  readonly body: EventBody;
  readonly asked: readonly PermissionAnswer[] | undefined;
}

/** Most consumers have nothing that waits. */
const none: readonly never[] = [];

type Method = (event: SentEvent | SentSignal, subscription: Subscription) => Promise<void> | void;

/**
 * Turns messages of observers into frames, one per subscription, in the order in which they came. An event waits for the reply of the
 * request that caused it, and for the reply of the request that subscribed.
 */
export class EventDelivery {
  readonly #authorizer: SubscriptionAuthorizer;
  readonly #queue: Arrival[] = [];
  #unconfirmed: readonly Unconfirmed[] = none;
  /** Made when a caller waits. */
  #waiters: (() => void)[] | undefined;
  #isBusy = false;
  /** The number of promises that later messages wait for. */
  #holds = 0;
  #isEnded = false;

  /** @param taken counts the heap of the waiting texts: an estimate that is not too low */
  constructor(
    private readonly session: SubscribedSession,
    private readonly taken: { waitingBytes: number },
  ) {
    this.#authorizer = new SubscriptionAuthorizer(session);
  }

  /**
   * Receives a message. If nothing waits and nothing has to be asked, the event is sent at once: with ten thousand subscribers each promise
   * counts.
   */
  receive(message: ObserverMessage, record: SubscriptionRecord): void {
    if (this.#isEnded) return;
    if (!('recheck' in message) && message.batch <= record.since && !record.later) return;
    const arrival = arrivalOf(message, record);
    if (!arrival) return;
    if (this.#isFree && !this.#pendingRequest(arrival.origin)) {
      this.#begin(arrival);
      return;
    }
    arrival.bytes = bytesBehind(this.#queue.at(-1), arrival);
    if (!this.#isFree && !this.session.hasRoom(arrival.bytes)) return;
    this.#queue.push(arrival);
    this.taken.waitingBytes += arrival.bytes;
    this.#drain();
  }

  get #isFree(): boolean {
    return !this.#isBusy && this.#holds === 0 && this.#queue.length === 0 && this.#unconfirmed.length === 0;
  }

  /**
   * Prepares a subscription, before its first event, for what a request asks for.
   *
   * @param isUnconfirmed whether its events are kept until `confirm`
   */
  expect(record: SubscriptionRecord, request: SubscribingRequest, isUnconfirmed: boolean): void {
    if (isUnconfirmed) this.#unconfirmed = this.#unconfirmed.concat({ record, kept: [] });
    this.#authorizer.prepare(record, request);
  }

  /** Called when the request of a new subscription was answered: delivers the events kept, or drops them if the reply is an error. */
  confirm(record: SubscriptionRecord, hasSucceeded: boolean): void {
    const confirmed = this.#unconfirmed.find((one) => one.record === record);
    this.#unconfirmed = this.#unconfirmed.filter((one) => one !== confirmed);
    const kept = confirmed?.kept ?? [];
    if (hasSucceeded) this.#queue.unshift(...kept);
    else for (const { bytes } of kept) this.taken.waitingBytes -= bytes;
    // The request that subscribed has ended; an observer may not work for it.
    runDetached(() => this.#drain());
  }

  /** Makes later events wait for this promise, which never rejects. */
  holdUntil(done: Promise<void>): void {
    this.#holds += 1;
    void done.then(() => {
      this.#holds -= 1;
      this.#drain();
    });
  }

  /** The number of changes that wait for a delivery, or for the reply that confirms their subscription. */
  get waiting(): number {
    return this.#unconfirmed.reduce((sum, { kept }) => sum + kept.length, this.#queue.length);
  }

  /** Drops waiting messages. */
  end(): void {
    this.#isEnded = true;
    this.#queue.length = 0;
    this.#unconfirmed = none;
  }

  /** Whether everything that arrived has been delivered. */
  get isIdle(): boolean {
    return !this.#isBusy && this.#queue.length === 0;
  }

  /** Resolves when everything that arrived has been delivered. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    this.#waiters ??= [];
    const waiters = this.#waiters;
    return new Promise((resolve) => waiters.push(resolve));
  }

  /** Delivers one message after the other; none overtakes one that has to wait. */
  #drain(): void {
    while (!this.#isBusy && this.#holds === 0) {
      const [next] = this.#queue;
      if (!next) break;
      const pending = this.#pendingRequest(next.origin);
      next.origin = undefined;
      if (pending) this.#occupy(pending.answered);
      else this.#take(next);
    }
    if (this.isIdle) for (const waiter of this.#waiters?.splice(0) ?? none) waiter();
  }

  #take(arrival: Arrival): void {
    this.#queue.shift();
    this.taken.waitingBytes -= arrival.bytes;
    const unconfirmed = this.#unconfirmed.find(({ record }) => record === arrival.record);
    if (unconfirmed) this.#keep(unconfirmed, arrival);
    else this.#begin(arrival);
  }

  #keep({ kept }: Unconfirmed, arrival: Arrival): void {
    arrival.bytes = bytesBehind(kept.at(-1), arrival);
    kept.push(arrival);
    this.taken.waitingBytes += arrival.bytes;
  }

  /** Makes later messages wait for this promise, however it settles. */
  #occupy(done: Promise<unknown>): void {
    this.#isBusy = true;
    const resume = (): void => this.#resume();
    void done.then(resume, resume);
  }

  #resume(): void {
    this.#isBusy = false;
    this.#drain();
  }

  /** The request that caused a change, while this connection owes its reply. Events do not wait for detached requests. */
  #pendingRequest(id: string | undefined): Request | undefined {
    if (id === undefined) return undefined;
    return this.session.runningRequests.find((request) => request.id === id && !request.isDetached);
  }

  /** Delivers a message. It makes a promise only if something has to be awaited. Never throws. */
  #begin(arrival: Arrival): void {
    try {
      if (arrival.record.isEnded) this.#tell(arrival, 'ended');
      else if ('isRecheck' in arrival) this.#occupy(this.#inHook(arrival, () => this.#recheck(arrival)));
      else this.#deliver(arrival);
    } catch (error) {
      this.#noteFailure(arrival, error);
    }
  }

  #deliver(arrival: EventArrival): void {
    const { record, message } = arrival;
    const plan = this.#authorizer.planFor(record, message.groups, Number.isFinite(message.batch));
    if (plan.isAsked) this.#occupy(this.#inHook(arrival, this.#askThenHand(arrival, plan)));
    else if (record.observer.passesThrough) this.#send(arrival, arrival.action, textOf(arrival));
    // Deliveries with a span of their own, or for the explorer, take the full path.
    else if (this.session.inspector || message.cause !== undefined)
      this.#occupy(this.#inHook(arrival, () => this.#deliverUnasked(arrival)));
    else this.#call(arrival);
  }

  /**
   * Runs the delivery in a hook of its own. It repeats the delivery if the database fails temporarily, while later messages wait. Never
   * rejects.
   */
  async #inHook(arrival: Arrival, work: () => Promise<boolean | void> | void): Promise<void> {
    const { dispatcher, settings } = this.session.services;
    const cause = 'message' in arrival ? arrival.message.cause : undefined;
    const { id } = arrival.record.observer;
    const hook = cause === undefined ? work : () => dispatcher.log.followDelivery(id, cause, work);
    const { retryTimeLimit: timeLimit } = settings.changeLog;
    try {
      await outlastFailures(() => dispatcher.runHook(hook), { timeLimit, isWanted: () => this.#isWanted(arrival) });
    } catch (error) {
      this.#noteFailure(arrival, error);
    }
  }

  /** Calls the method with no promise beside the method's own; later events wait until it is done. */
  #call(arrival: EventArrival): void {
    const { unitOfWork, services } = this.session;
    const done = unitOfWork.run(() => this.#deliverUnasked(arrival));
    if (!done) return;
    this.#isBusy = true;
    services.dispatcher.followHook(
      done,
      () => this.#resume(),
      (error) => this.#callAgain(arrival, error),
    );
  }

  #callAgain(arrival: EventArrival, error: unknown): void {
    if (isPassingFailure(error) && this.#isWanted(arrival)) {
      this.#occupy(this.#inHook(arrival, () => this.#deliverUnasked(arrival)));
      return;
    }
    this.#noteFailure(arrival, error);
    this.#resume();
  }

  /** Whether a failed delivery is to be repeated. */
  #isWanted(arrival: Arrival): boolean {
    return !this.#isEnded && !arrival.record.isEnded && !('isSent' in arrival && arrival.isSent);
  }

  /** Notes a failed delivery, even if a frame of the event has left: its observer may have had another one to send. */
  #noteFailure(arrival: Arrival, error: unknown): void {
    const { observer, requestId } = arrival.record;
    const row = 'message' in arrival ? { pk: arrival.message.pk } : {};
    const facts = { observer: observer.id, requestId, ...row, error };
    this.session.services.logger.error('An event could not be delivered.', facts);
    this.#tell(arrival, 'failed');
    if (isPassingFailure(error) && !this.#isEnded && !arrival.record.isEnded) this.session.missEvent();
  }

  async #recheck({ record, groups }: RecheckArrival): Promise<boolean> {
    return (await this.#authorizer.recheck(record, groups)) || this.#revoke(record);
  }

  /**
   * Asks, then hands over. Both steps may be repeated, but not the first one after it has decided, because it has then noted what the
   * client will know.
   */
  #askThenHand(arrival: EventArrival, plan: DeliveryPlan): () => Promise<boolean> {
    let decided: GrantedEvent | boolean | undefined;
    return async () => {
      decided ??= await this.#decide(arrival, plan);
      if (typeof decided === 'boolean') return decided;
      await this.#hand(arrival, decided.event, decided.body, decided.asked);
      return true;
    };
  }

  /** @returns the event to send, or whether the subscription is still allowed although nothing is sent */
  async #decide(arrival: EventArrival, plan: DeliveryPlan): Promise<GrantedEvent | boolean> {
    const { record } = arrival;
    const { requests, isDue, asksRights } = plan;
    if (asksRights) await this.#authorizer.askRights(record, requests);
    if (isDue) this.#authorizer.forget(requests);
    const body = bodyOf(arrival);
    const event = eventOf(arrival, body);
    const questions = this.#authorizer.questions(record, plan);
    const [question] = questions;
    const { visibility } = record.observer;
    const visible: VisibleEvent =
      plan.checksVisibility && visibility && question
        ? await visibility.visibleEvent(this.session.instance, event, this.#viewerOf(arrival, question, plan))
        : { event, isRefused: false, note: () => {} };
    if (record.observer.revocations.length > 0 && (await this.#isLost(record, visible, plan))) {
      this.#tell(arrival, 'revoked');
      return this.#revoke(record);
    }
    if (!visible.event) return this.#noteHidden(arrival, visible);
    if (isOtherKind(arrival, visible.event.action)) {
      this.#tell(arrival, 'kept');
      return true;
    }
    const asked: PermissionAnswer[] | undefined = this.session.inspector && [];
    const unanswered = isDue ? this.#authorizer.questions(record, plan) : questions;
    const refusing = await this.#authorizer.refusing(unanswered, visible.event, asked);
    if (refusing) return this.#noteRefusal(arrival, refusing, asked);
    visible.note();
    return { event: visible.event, body, asked };
  }

  #deliverUnasked(arrival: EventArrival): Promise<void> | void {
    const body = bodyOf(arrival);
    return this.#hand(arrival, eventOf(arrival, body), body);
  }

  /** Hands the event to the observer's method. If the method sends it unchanged, its text is reused. */
  #hand(
    arrival: EventArrival,
    observed: ObservedEvent,
    body: EventBody,
    asked: readonly PermissionAnswer[] = [],
  ): Promise<void> | void {
    const { instance, scope, inspector } = this.session;
    const { observer, requestId, kwargs } = arrival.record;
    const event = observer.signal ? { signal: observer.signal.name, data: observed.data } : observed;
    let isSent = false;
    const send = async (sent: SentEvent | SentSignal): Promise<void> => {
      const text = sent.data === body.data ? body.text : encodeData(sent.data);
      isSent = true;
      this.#send(arrival, 'signal' in sent ? sent.signal : sent.action, text, asked);
    };
    const method: Method = Reflect.get(instance, observer.member);
    const done = method.call(instance, event, { requestId, kwargs, scope, send });
    if (!inspector) return done;
    return Promise.resolve(done).then(() => {
      if (!isSent) this.#tell(arrival, 'kept', { asked });
    });
  }

  /** Reports the outcome of an event to the explorer, if it watches the connection. */
  #tell(
    arrival: Arrival,
    outcome: DeliveryDecision['outcome'],
    facts: Partial<Pick<DeliveryDecision, 'asked' | 'sentAs'>> = {},
  ): void {
    const { inspector, stream = null } = this.session;
    if (!inspector || 'isRecheck' in arrival) return;
    const { record, action, message } = arrival;
    const { observer, requestId, groups } = record;
    inspector.decided(stream, {
      asked: [],
      ...facts,
      observer: observer.id,
      commit: message.commit,
      requestId,
      pk: message.pk,
      action,
      outcome,
      groups: shortGroups(observer.id, groups),
    });
  }

  /**
   * Whether the subscription has lost its right. Asked after the data were read: data that were read after a permission's answer might be
   * data that it would refuse.
   */
  async #isLost(
    record: SubscriptionRecord,
    { isRefused }: VisibleEvent,
    { requests, isDue }: DeliveryPlan,
  ): Promise<boolean> {
    return isRefused || (isDue && !(await this.#authorizer.holds(record, requests)));
  }

  #viewerOf({ record, message }: EventArrival, question: Question, { requests, asksRights }: DeliveryPlan): Viewer {
    const { serializer } = record.observer;
    return {
      subscription: record,
      context: question.context,
      ...(serializer && { serializer }),
      ...(message.change && { change: message.change }),
      isJudged: question.judgesObjects,
      maySee: (row) => this.#authorizer.maySee(question, row),
      rights: async () => {
        if (asksRights) await this.#authorizer.askRights(record, requests);
        return rightsThrough(record, message.groups);
      },
    };
  }

  #noteRefusal(arrival: EventArrival, { permissions }: Question, asked: readonly PermissionAnswer[] = []): false {
    const { scope, services } = this.session;
    this.#tell(arrival, 'refused', { asked });
    services.dispatcher.log.refusedDelivery(scope, withheld(arrival, permissions.description));
    return false;
  }

  /** Notes that the row is hidden: the subscription got a delete, and gets no more events of it. */
  #noteHidden(arrival: EventArrival, { isRefused }: VisibleEvent): true {
    const { scope, services } = this.session;
    const { activity } = services;
    this.#tell(arrival, 'hidden');
    if (!activity) return true;
    const by = isRefused ? 'a permission refuses the row' : "the row is outside of the consumer's query";
    activity.withheld(withheld(arrival, by), userKeyOf(scope));
    return true;
  }

  /** Ends all subscriptions of the request id, and sends the client one frame. */
  #revoke(record: SubscriptionRecord): false {
    const { subscriptions, services } = this.session;
    const { requestId, observer } = record;
    // The client may have ended it while a permission was asked.
    if (record.isEnded) return false;
    subscriptions.end(requestId);
    services.activity?.revoked(observer.id, requestId);
    this.session.send(errorReply(new Revoked(), { action: 'revoked', requestId }));
    return false;
  }

  /** @param action in this subscription's event, which may differ from the change's */
  #send(arrival: EventArrival, action: string, data: string, asked?: readonly PermissionAnswer[]): void {
    const { record, message } = arrival;
    if (record.isEnded) {
      this.#tell(arrival, 'ended');
      return;
    }
    const status = action === 'delete' && !record.observer.signal ? Status.noContent : Status.ok;
    arrival.isSent = true;
    const { observer, requestId } = record;
    const row = observer.latest ? JSON.stringify([observer.id, requestId, message.pk]) : undefined;
    this.session.send({ action, requestId, status, data, errors: [] }, row);
    this.session.services.activity?.sent(message, action);
    if (this.session.inspector) {
      this.#tell(arrival, 'sent', { ...(asked && { asked }), ...(action !== arrival.action && { sentAs: action }) });
    }
  }
}

function withheld({ record, action, message: { pk } }: EventArrival, by: string): WithheldEvent {
  return { observer: record.observer.id, event: action, pk, requestId: record.requestId, by };
}

/** The body that was decoded last; waiting messages keep only their text. */
let decoded: EventBody | undefined;

/** The body of an event. Consecutive deliveries of one text share it, so it is frozen. */
function bodyOf(arrival: EventArrival): EventBody {
  const text = textOf(arrival);
  if (decoded?.text !== text) decoded = { text, data: frozen(JSON.parse(text)) };
  return decoded;
}

function frozen(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}

/** The text of each message as a delete, which all its subscriptions share. */
const deletes = new WeakMap<EventMessage, string>();

function textOfDelete(message: EventMessage): string {
  const text = deletes.get(message) ?? encodeData({ pk: message.pk });
  deletes.set(message, text);
  return text;
}

/** The JSON text of an event's data, by the current rights of its subscription. */
function textOf({ record, action, message }: EventArrival): string {
  const { serializer, signal } = record.observer;
  const { groups, data = 'null', dataByRights } = message;
  if (action === 'delete' && !signal) return textOfDelete(message);
  if (!serializer || !dataByRights) return data;
  const key = rightsKey(serializer, rightsThrough(record, groups));
  return Object.hasOwn(dataByRights, key) ? (dataByRights[key] ?? data) : data;
}

/** The groups of a subscription that had begun before a read of the change log. */
function begun({ groups, since, later }: SubscriptionRecord, batch: number): readonly string[] {
  if (!later) return groups;
  return groups.filter((group) => (later.get(group) ?? since) < batch);
}

/** A message for a subscription in one of its groups; undefined if it does not concern the subscription. */
function arrivalOf(message: ObserverMessage, record: SubscriptionRecord): Arrival | undefined {
  const { origin } = message;
  if ('recheck' in message) return { record, groups: message.recheck, isRecheck: true, origin, bytes: 0 };
  const event = eventFor(begun(record, message.batch), message.before, message.after);
  const { only } = record.observer;
  // An update may turn out to be a create or a delete, if the row comes into sight or leaves it.
  if (!event || (only && event !== only && event !== 'update')) return undefined;
  return { record, action: record.observer.signal?.name ?? event, message, origin, bytes: 0, isSent: false };
}

/** Whether the subscription asked for events of another kind. */
function isOtherKind({ record }: EventArrival, action: EventAction): boolean {
  const { only } = record.observer;
  return only !== undefined && action !== only;
}

/**
 * What a change means to a subscription with some of the groups: if the row was in none before and is in one after, a create; in one before
 * and none after, a delete; in both, an update; in neither, nothing.
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

function eventOf({ action, message }: EventArrival, { data }: EventBody): ObservedEvent {
  return { action: action as EventAction, pk: message.pk, data };
}

/**
 * Bytes of a waiting text, two for each character, as texts beyond Latin-1 take. The text of one change counts once, however many
 * subscriptions receive it.
 */
function bytesBehind(last: Arrival | undefined, arrival: Arrival): number {
  if (!('message' in arrival) || (last && 'message' in last && last.message === arrival.message)) return 0;
  const { data = '', dataByRights = {} } = arrival.message;
  return Object.values(dataByRights).reduce((bytes, text) => bytes + 2 * text.length, 2 * data.length);
}
