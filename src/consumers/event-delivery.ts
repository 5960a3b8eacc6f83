import type { ActivityLog, WithheldEvent } from '../activity-log.js';
import type { Dispatcher, LimitedCall } from '../dispatch/dispatcher.js';
import type { Request } from '../dispatch/request.js';
import { Revoked } from '../errors.js';
import type { DeliveryDecision, DeliveryInspector, PermissionAnswer } from '../inspection.js';
import type { Logger } from '../logger.js';
import { type EventMessage, eventFor, type ObserverMessage } from '../observers/event-message.js';
import type { EventAction, SentEvent, SentSignal, Subscription } from '../observers/model-event.js';
import { shortGroups } from '../observers/observer.js';
import type { ObservedEvent, Sight } from '../observers/observer-declaration.js';
import type { SubscriptionRecord } from '../observers/subscription-index.js';
import { requestsThrough, type Subscriptions } from '../observers/subscriptions.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { userKeyOf } from '../scope/user-key.js';
import { rightsKey } from '../serializers/field-rights.js';
import { Status } from '../status.js';
import { encodeData, errorReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import type { CompiledConsumer } from './compiled-consumer.js';
import type { EventBody } from './event-bodies.js';
import {
  type AuthorizerServices,
  type Question,
  rightsThrough,
  SubscriptionAuthorizer,
} from './subscription-authorizer.js';

/** The session whose subscriptions hear of events. */
export interface SubscribedSession {
  readonly compiled: CompiledConsumer;
  readonly instance: object;
  readonly scope: Scope;
  readonly subscriptions: Subscriptions;
  readonly services: {
    readonly dispatcher: Dispatcher;
    readonly logger: Logger;
    readonly activity: ActivityLog | undefined;
  } & AuthorizerServices;
  readonly unitOfWork: UnitOfWork;
  readonly runningRequests: readonly Request[];
  /** Whether one more event, with this many bytes of text, may wait; where not, the connection is closed. */
  hasRoom(bytes: number): boolean;
  readonly stream: string | undefined;
  /** Undefined unless the explorer looks at the connection. */
  readonly inspector: DeliveryInspector | undefined;
  loadObject(context: ActionContext): Promise<object>;
  /** @param latest tells the row of an event of which only the latest is worth sending */
  send(reply: Reply, latest?: string): void;
}

/** What a message is to one subscription. */
type Arrival = EventArrival | RecheckArrival;

interface EventArrival {
  readonly record: SubscriptionRecord;
  readonly action: string;
  readonly pk: unknown;
  readonly message: EventMessage;
  /** Of the change, before and after. */
  readonly groups: readonly string[];
}

/** To be asked whether it is still granted. */
interface RecheckArrival {
  readonly record: SubscriptionRecord;
  readonly groups: readonly string[];
  readonly isRecheck: true;
}

/** A subscription whose request is not answered, and the events that wait for that. */
interface Unconfirmed {
  readonly record: SubscriptionRecord;
  readonly kept: Arrival[];
  /** Of the texts of these events. */
  bytes: number;
}

interface Task {
  readonly run: () => Promise<void> | void;
  /** Of the texts of the events that it delivers. */
  readonly bytes: number;
  /** The last one that it delivers. */
  readonly arrival: Arrival | undefined;
}

type Method = (event: SentEvent | SentSignal, subscription: Subscription) => Promise<void> | void;

/**
 * Messages of observers -> frames, one per subscription, in the order in which they came. An event waits for the
 * reply of the request that caused it, and for the reply of the request that subscribed.
 */
export class EventDelivery {
  readonly #session: SubscribedSession;
  readonly #authorizer: SubscriptionAuthorizer;
  readonly #tasks: Task[] = [];
  #unconfirmed: readonly Unconfirmed[] = [];
  readonly #waiters: (() => void)[] = [];
  #isBusy = false;
  /** How many wait behind one of the same task. */
  #inTurn = 0;
  /** How many answers all that arrives waits for. */
  #holds = 0;
  #isEnded = false;

  /** @param taken where the heap of the texts of what waits is kept: an estimate that is not too low */
  constructor(
    session: SubscribedSession,
    private readonly taken: { waitingBytes: number },
  ) {
    const { compiled, instance, scope, services } = session;
    const loadObject = (context: ActionContext): Promise<object> => session.loadObject(context);
    this.#session = session;
    this.#authorizer = new SubscriptionAuthorizer(compiled, instance, scope, loadObject, services);
  }

  /** Where nothing waits and nothing has to be asked, the event is sent at once: with ten thousand subscribers each promise counts. */
  receive(message: ObserverMessage, record: SubscriptionRecord): void {
    if (this.#isEnded) return;
    if (!('recheck' in message) && message.batch <= record.since && !record.later) return;
    const arrival = arrivalOf(message, record);
    if (!arrival) return;
    const { origin } = message;
    const pending = origin === undefined ? undefined : this.#pendingRequest(origin);
    if (!pending && this.#isFree && this.#deliverAtOnce(arrival)) return;
    const bytes = bytesBehind(this.#tasks.at(-1)?.arrival, arrival);
    if (!this.#isFree && !this.#session.hasRoom(bytes)) return;
    this.#tasks.push({ run: () => this.#deliver(arrival, origin), bytes, arrival });
    this.taken.waitingBytes += bytes;
    this.#drain();
  }

  get #isFree(): boolean {
    return !this.#isBusy && this.#holds === 0 && this.#tasks.length === 0 && this.#unconfirmed.length === 0;
  }

  /** Keeps the events of a new subscription until its request is answered; after an error answer there are none. */
  holdUntilConfirmed(record: SubscriptionRecord, request: Request): void {
    const unconfirmed: Unconfirmed = { record, kept: [], bytes: 0 };
    this.#unconfirmed = this.#unconfirmed.concat(unconfirmed);
    request.whenAnswered((hasSucceeded) => {
      if (!this.#isEnded) this.#confirm(unconfirmed, hasSucceeded);
      this.#drain();
    });
  }

  #confirm(unconfirmed: Unconfirmed, hasSucceeded: boolean): void {
    this.#unconfirmed = this.#unconfirmed.filter((other) => other !== unconfirmed);
    this.taken.waitingBytes -= unconfirmed.bytes;
    if (hasSucceeded) this.#deliverNext(unconfirmed.kept, unconfirmed.bytes);
  }

  /** Events that come from now on wait for this, which never rejects. */
  holdUntil(done: Promise<void>): void {
    this.#holds += 1;
    void done.then(() => {
      this.#holds -= 1;
      this.#drain();
    });
  }

  /** How many changes have to wait for what is being delivered, or for the reply that confirms their subscription. */
  get waiting(): number {
    return this.#unconfirmed.reduce((sum, { kept }) => sum + kept.length, this.#tasks.length + this.#inTurn);
  }

  /** Drops what waits. */
  end(): void {
    this.#isEnded = true;
    this.#tasks.length = 0;
    this.#inTurn = 0;
    this.#unconfirmed = [];
  }

  /** Resolves when everything that arrived has been delivered. */
  idle(): Promise<void> {
    if (!this.#isBusy && this.#tasks.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** One task after the other; nothing overtakes one that has to wait. */
  #drain(): void {
    while (!this.#isBusy && this.#holds === 0) {
      const task = this.#tasks.shift();
      if (!task) break;
      this.taken.waitingBytes -= task.bytes;
      const done = task.run();
      if (!done) continue;
      this.#isBusy = true;
      void done.then(this.#resume, this.#resume);
    }
    if (!this.#isBusy && this.#tasks.length === 0) for (const waiter of this.#waiters.splice(0)) waiter();
  }

  readonly #resume = (): void => {
    this.#isBusy = false;
    this.#drain();
  };

  #deliver(arrival: Arrival, origin: string | undefined): Promise<void> | void {
    const pending = origin === undefined ? undefined : this.#pendingRequest(origin);
    if (!pending) return this.#deliverAll([arrival]);
    this.#deliverNext([arrival]);
    return pending.answered;
  }

  #deliverNext(arrivals: readonly Arrival[], bytes = bytesOf(arrivals)): void {
    this.#tasks.unshift({ run: () => this.#deliverAll(arrivals), bytes, arrival: arrivals.at(-1) });
    this.taken.waitingBytes += bytes;
  }

  /** The request that a change came from, while its reply is still due here. Events do not wait for detached ones. */
  #pendingRequest(id: string): Request | undefined {
    return this.#session.runningRequests.find((request) => request.id === id && !request.isDetached);
  }

  /** A promise only where something has to be waited for. */
  #deliverAll(arrivals: readonly Arrival[]): Promise<void> | void {
    const waiting: Arrival[] = [];
    for (const arrival of arrivals) {
      const unconfirmed = this.#unconfirmed.find(({ record }) => record === arrival.record);
      if (unconfirmed) this.#keep(unconfirmed, arrival);
      else if (waiting.length > 0 || this.#isBusy || !this.#deliverAtOnce(arrival)) waiting.push(arrival);
    }
    if (waiting.length === 0) return;
    if (!this.#isBusy) return this.#handleAll(waiting);
    // A method is at work.
    this.#deliverNext(waiting);
  }

  #keep(unconfirmed: Unconfirmed, arrival: Arrival): void {
    const bytes = bytesBehind(unconfirmed.kept.at(-1), arrival);
    unconfirmed.kept.push(arrival);
    unconfirmed.bytes += bytes;
    this.taken.waitingBytes += bytes;
  }

  async #handleAll(arrivals: readonly Arrival[]): Promise<void> {
    const bytes = arrivals.length > 1 ? bytesOf(arrivals) : 0;
    this.#inTurn = arrivals.length;
    this.taken.waitingBytes += bytes;
    for (const arrival of arrivals) {
      this.#inTurn -= 1;
      await this.#handle(arrival);
      if (this.#isEnded) return;
    }
    this.taken.waitingBytes -= bytes;
  }

  /** Never rejects. */
  #handle(arrival: Arrival): Promise<void> {
    return this.#run(arrival).catch((error) => this.#noteFailure(arrival, error));
  }

  #noteFailure(arrival: Arrival, error: unknown): void {
    const { observer, requestId } = arrival.record;
    const row = 'pk' in arrival ? { pk: arrival.pk } : {};
    const facts = { observer: observer.id, requestId, ...row, error };
    this.#session.services.logger.error('An event could not be delivered.', facts);
    this.#tell(arrival, 'failed');
  }

  /** Without a trace to tell of, nothing is spent on one. */
  async #run(arrival: Arrival): Promise<void> {
    const { dispatcher } = this.#session.services;
    const cause = 'message' in arrival ? arrival.message.cause : undefined;
    const pass = (): Promise<boolean | void> | void => this.#pass(arrival);
    await dispatcher.runHook(
      cause === undefined ? pass : () => dispatcher.log.followDelivery(arrival.record.observer.id, cause, pass),
    );
  }

  /** Sends an event for which no permission has to be asked, or calls the observer's method. @returns whether it did */
  #deliverAtOnce(arrival: Arrival): boolean {
    if ('isRecheck' in arrival || this.#isAsked(arrival)) return false;
    if (arrival.record.observer.passesThrough) this.#send(arrival, arrival.action, textOf(arrival));
    // A span of its own, and the explorer, take the long way.
    else if (this.#session.inspector || arrival.message.cause !== undefined) return false;
    else this.#call(arrival);
    return true;
  }

  /** No promise more than the method's; the events behind it wait until it is done. */
  #call(arrival: EventArrival): void {
    const { unitOfWork, services } = this.#session;
    let done: Promise<void> | undefined;
    try {
      done = unitOfWork.run(() => this.#deliverUnasked(arrival)) ?? undefined;
    } catch (error) {
      this.#noteFailure(arrival, error);
    }
    if (!done) return;
    const call: LimitedCall = { done, isOver: false, fail: (error) => end(() => this.#noteFailure(arrival, error)) };
    const end = (note?: () => void): void => {
      if (call.isOver) return;
      call.isOver = true;
      note?.();
      this.#resume();
    };
    this.#isBusy = true;
    done.then(() => end(), call.fail);
    services.dispatcher.limit(call);
  }

  /**
   * A promise only where there is something to wait for: with ten thousand listeners each counts.
   *
   * @returns false where a permission refused
   */
  #pass(arrival: Arrival): Promise<boolean | void> | void {
    if (arrival.record.isEnded) return this.#tell(arrival, 'ended');
    if ('isRecheck' in arrival) return this.#recheck(arrival);
    return this.#isAsked(arrival) ? this.#deliverAsked(arrival) : this.#deliverUnasked(arrival);
  }

  /** Whether a permission or a query has to be asked for this event. */
  #isAsked(arrival: EventArrival): boolean {
    const { record, groups } = arrival;
    return this.#authorizer.asksForEvent(record, groups, this.#isOrdered(arrival)) || this.#isLookedAt(arrival);
  }

  /**
   * Whether the message that a commit changed the right came before all that shows what was written since: both come from the change
   * log, in its order. Not where a signal was sent outside of any transaction, and not where the row is read again: it may be newer.
   */
  #isOrdered(arrival: EventArrival): boolean {
    return Number.isFinite(arrival.message.batch) && !this.#isLookedAt(arrival);
  }

  async #recheck({ record, groups }: RecheckArrival): Promise<boolean> {
    const holds =
      (await this.#authorizer.holds(record, groups)) && (await this.#authorizer.holdsForRows(record, groups));
    if (holds) await this.#authorizer.askRights(record, groups);
    else await this.#revoke(record);
    return holds;
  }

  async #deliverAsked(arrival: EventArrival): Promise<boolean> {
    const { record, groups } = arrival;
    const isOrdered = this.#isOrdered(arrival);
    const isDue = this.#authorizer.isDue(record, groups, isOrdered);
    const asksRights = this.#authorizer.asksRightsForEvent(record, groups, isOrdered);
    if (asksRights) await this.#authorizer.askRights(record, groups);
    if (isDue) this.#authorizer.forget(record, groups);
    const body = this.#bodyOf(arrival);
    const questions = this.#authorizer.questions(record, groups);
    const sight = await this.#look(arrival, eventOf(arrival, body), questions, asksRights);
    if (await this.#isLost(arrival, sight, isDue)) {
      this.#tell(arrival, 'revoked');
      return this.#revoke(record);
    }
    if (!sight.event) return this.#noteHidden(arrival, sight);
    if (isOtherKind(arrival, sight.event.action)) {
      this.#tell(arrival, 'kept');
      return true;
    }
    const asked: PermissionAnswer[] = [];
    const unanswered = isDue ? this.#authorizer.questions(record, groups) : questions;
    const refusing = await this.#refusing(arrival, sight.event, unanswered, asked);
    if (refusing) return this.#noteRefusal(arrival, refusing, asked);
    sight.note();
    await this.#hand(arrival, sight.event, body, asked);
    return true;
  }

  #deliverUnasked(arrival: EventArrival): Promise<void> | void {
    const body = this.#bodyOf(arrival);
    return this.#hand(arrival, eventOf(arrival, body), body);
  }

  #bodyOf(arrival: EventArrival): EventBody {
    return this.#session.compiled.bodies.of(textOf(arrival));
  }

  /** To the observer's method. What it sends on as it came has its text already. */
  #hand(
    arrival: EventArrival,
    observed: ObservedEvent,
    body: EventBody,
    asked: readonly PermissionAnswer[] = [],
  ): Promise<void> | void {
    const { instance, scope, inspector } = this.#session;
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

  /** Tells the explorer what becomes of an event, if it looks at the connection. */
  #tell(
    arrival: Arrival,
    outcome: DeliveryDecision['outcome'],
    facts: Partial<Pick<DeliveryDecision, 'asked' | 'sentAs'>> = {},
  ): void {
    const { inspector, stream = null } = this.#session;
    if (!inspector || 'isRecheck' in arrival) return;
    const { record, action, pk, message } = arrival;
    const { observer, requestId, groups } = record;
    inspector.decided(stream, {
      asked: [],
      ...facts,
      observer: observer.id,
      commit: message.commit,
      requestId,
      pk,
      action,
      outcome,
      groups: shortGroups(observer.id, groups),
    });
  }

  /** The first request through which the event comes that would not be granted now; none where it may be sent. */
  async #refusing(
    { record }: EventArrival,
    event: ObservedEvent,
    questions: readonly Question[],
    asked: PermissionAnswer[],
  ): Promise<Question | undefined> {
    const { scope, inspector } = this.#session;
    const note = inspector && ((answer: PermissionAnswer): void => void asked.push(answer));
    for (const question of questions)
      if (!(await this.#authorizer.mayReceive(record, question, { scope, ...event }, note))) return question;
    return undefined;
  }

  /** Asked once the data are there: what is read later than a permission might be what it would refuse. */
  async #isLost({ record, groups }: EventArrival, { isRefused }: Sight, isDue: boolean): Promise<boolean> {
    if (record.observer.revocations.length === 0) return false;
    return isRefused || (isDue && !(await this.#authorizer.holds(record, groups)));
  }

  /** Whether the row behind the event has to be judged, or shown in another way than to all. */
  #isLookedAt({ record, groups }: EventArrival): boolean {
    const { visibility } = record.observer;
    if (!visibility || visibility.isLookedAt) return visibility !== undefined;
    if (this.#session.compiled.isOpen) return false;
    return requestsThrough(record, groups).some((request) => this.#authorizer.asksForObject(request));
  }

  async #look(
    arrival: EventArrival,
    event: ObservedEvent,
    [question]: readonly Question[],
    asksRights: boolean,
  ): Promise<Sight> {
    const { record, groups } = arrival;
    const { visibility, serializer } = record.observer;
    if (!visibility || !question || !this.#isLookedAt(arrival)) return { event, isRefused: false, note: () => {} };
    return visibility.look(this.#session.instance, event, {
      subscription: record,
      context: question.context,
      ...(serializer && { serializer }),
      ...(arrival.message.change && { change: arrival.message.change }),
      isJudged: this.#authorizer.asksForObject(question.request),
      maySee: (row) => this.#authorizer.maySee(question, row),
      rights: async () => {
        if (asksRights) await this.#authorizer.askRights(record, groups);
        return rightsThrough(record, groups);
      },
    });
  }

  #noteRefusal(arrival: EventArrival, { permissions }: Question, asked: readonly PermissionAnswer[]): false {
    const { scope, services } = this.#session;
    this.#tell(arrival, 'refused', { asked });
    services.dispatcher.log.refusedDelivery(scope, withheld(arrival, permissions.description));
    return false;
  }

  /** The row is hidden: the subscription got a delete, and gets no more events of it. */
  #noteHidden(arrival: EventArrival, { isRefused }: Sight): true {
    const { scope, services } = this.#session;
    const { activity } = services;
    this.#tell(arrival, 'hidden');
    if (!activity) return true;
    const by = isRefused ? 'a permission refuses the row' : "the row is outside of the consumer's query";
    activity.withheld(withheld(arrival, by), userKeyOf(scope));
    return true;
  }

  /** All subscriptions of the request id have ended; the client gets one frame. */
  async #revoke(record: SubscriptionRecord): Promise<false> {
    const { subscriptions, services } = this.#session;
    const { requestId, observer } = record;
    // Its client may have ended it while a permission was asked.
    if (record.isEnded) return false;
    subscriptions.end(requestId);
    services.activity?.revoked(observer.id, requestId);
    this.#session.send(errorReply(new Revoked(), { action: 'revoked', requestId }));
    return false;
  }

  /** @param action in the event of this subscription, which may be another than the change's */
  #send(arrival: EventArrival, action: string, data: string, asked?: readonly PermissionAnswer[]): void {
    const { record, pk, message } = arrival;
    if (record.isEnded) {
      this.#tell(arrival, 'ended');
      return;
    }
    const status = action === 'delete' && !record.observer.signal ? Status.noContent : Status.ok;
    const { observer, requestId } = record;
    const row = observer.latest ? JSON.stringify([observer.id, requestId, pk]) : undefined;
    this.#session.send({ action, requestId, status, data, errors: [] }, row);
    this.#session.services.activity?.sent(message, action);
    if (this.#session.inspector) {
      this.#tell(arrival, 'sent', { ...(asked && { asked }), ...(action !== arrival.action && { sentAs: action }) });
    }
  }
}

function withheld({ record, action, pk }: EventArrival, by: string): WithheldEvent {
  return { observer: record.observer.id, event: action, pk, requestId: record.requestId, by };
}

/** What is sent of an event, as JSON text, by the rights that its subscription has by now. */
function textOf({ record, action, pk, message, groups }: EventArrival): string {
  const { serializer, signal } = record.observer;
  const { data = 'null', dataByRights } = message;
  if (action === 'delete' && !signal) return encodeData({ pk });
  if (!serializer || !dataByRights) return data;
  const key = rightsKey(serializer, rightsThrough(record, groups));
  return Object.hasOwn(dataByRights, key) ? (dataByRights[key] ?? data) : data;
}

/** The groups of a subscription that had begun before a read of the change log. */
function begun({ groups, since, later }: SubscriptionRecord, batch: number): readonly string[] {
  if (!later) return groups;
  return groups.filter((group) => (later.get(group) ?? since) < batch);
}

/** What a message is to a subscription in one of its groups. */
function arrivalOf(message: ObserverMessage, record: SubscriptionRecord): Arrival | undefined {
  if ('recheck' in message) return { record, groups: message.recheck, isRecheck: true };
  const { before, after, groups, pk } = message;
  const event = eventFor(begun(record, message.batch), before, after);
  const { only } = record.observer;
  // An update may turn out to be a create or a delete, where a row comes into sight or leaves it.
  if (!event || (only && event !== only && event !== 'update')) return undefined;
  return { record, action: record.observer.signal?.name ?? event, pk, message, groups };
}

/** Whether the subscription asked for events of another kind. */
function isOtherKind({ record }: EventArrival, action: EventAction): boolean {
  const { only } = record.observer;
  return only !== undefined && action !== only;
}

function eventOf({ action, pk }: EventArrival, { data }: EventBody): ObservedEvent {
  return { action: action as EventAction, pk, data };
}

/** Two for each character: beyond Latin a text takes as many. One change is one text, however many subscriptions hear of it. */
function bytesBehind(last: Arrival | undefined, arrival: Arrival): number {
  if (!('message' in arrival) || (last && 'message' in last && last.message === arrival.message)) return 0;
  const { data = '', dataByRights = {} } = arrival.message;
  return Object.values(dataByRights).reduce((bytes, text) => bytes + 2 * text.length, 2 * data.length);
}

function bytesOf(arrivals: readonly Arrival[]): number {
  return arrivals.reduce((bytes, arrival, index) => bytes + bytesBehind(arrivals[index - 1], arrival), 0);
}
