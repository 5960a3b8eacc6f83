import type { ActivityLog } from '../activity-log.js';
import { runDetached } from '../async-context.js';
import { type ChannelLayer, type ChannelMessage, checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Clock } from '../clock.js';
import type { ActionDefinition } from '../dispatch/actions.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import { type ErrorTranslator, safeInstanceof } from '../dispatch/error-mapping.js';
import { ActionReply } from '../dispatch/reply.js';
import { currentRequest, OwnedPromise, Request, type RequestTarget } from '../dispatch/request.js';
import {
  ApiError,
  Cancelled,
  ChannelLayerUnavailable,
  ConfigurationError,
  Disconnected,
  NotFound,
  ParseError,
  Revoked,
  Throttled,
  TimeLimitExceeded,
  UnexpectedError,
} from '../errors.js';
import type { DeliveryInspector } from '../inspection.js';
import type { LogFields, Logger } from '../logger.js';
import type { Class } from '../metadata.js';
import type { Observer } from '../observers/observer.js';
import type { SubscriptionIndex, SubscriptionRecord } from '../observers/subscriptions.js';
import { Subscriptions, subscribingRequest, without } from '../observers/subscriptions.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { PermissionChecker } from '../permissions/permission-checker.js';
import { ActionContext } from '../scope/action-context.js';
import { ownership, type Scope } from '../scope/scope.js';
import type { SerializerContext } from '../serializers/serializer.js';
import type { Settings } from '../settings.js';
import { CloseCode, Status } from '../status.js';
import { addressOf, encodeData, errorReply, toRequest } from '../wire/codec.js';
import { heapBytesOf } from '../wire/heap-bytes.js';
import type { ActionRequest, Reply, RequestId } from '../wire/messages.js';
import { ApiConsumer, type BoundSession, bindConsumer, type OwnRequest } from './api-consumer.js';
import type { CompiledConsumer } from './compiled-consumer.js';
import { ConsumerGroups } from './consumer-groups.js';
import { DetachedMethods } from './detached-methods.js';
import { EventDelivery } from './event-delivery.js';
import { bulkWriteOf } from './model-bulk.js';
import { writeRows } from './model-bulk-writes.js';
import { BaseModelConsumer, checkedKey, overrides, sentKey, shownObject } from './model-consumer.js';
import { isPlainRetrieve, plainWriteOf } from './model-mixins.js';
import { showResult } from './model-result.js';
import { writeRow } from './model-writes.js';
import type { Holdings, Quotas } from './quotas.js';
import { RequestQueue } from './request-queue.js';
import { rightsFor } from './subscription-authorizer.js';

/** Services that all connections of an application share. */
export interface SessionServices {
  readonly layer: ChannelLayer;
  readonly dispatcher: Dispatcher;
  readonly errors: ErrorTranslator;
  readonly unitOfWork: UnitOfWork;
  readonly subscribed: SubscriptionIndex;
  readonly feed: {
    /**
     * The read of the change log after which a subscription to an observer begins, if it begins now.
     *
     * @param isInTransaction whether the caller must not wait for a read of its own
     * @throws if the database fails
     */
    positionFor(observer: Observer, isInTransaction: boolean): Promise<number>;
  };
  readonly logger: Logger;
  readonly activity: ActivityLog | undefined;
  readonly settings: Settings;
  readonly clock: Clock;
}

/** The connection of a session. */
export interface SessionConnection {
  readonly scope: Scope;
  readonly quotas: Quotas;
  /** Undefined unless the explorer watches the connection. */
  readonly inspector: DeliveryInspector | undefined;
  /** @param latest names the row of an event of which only the latest is worth sending */
  send(reply: Reply, stream: string | undefined, latest?: string): void;
  /** Sends a text frame that is no reply. */
  sendText(text: string, stream: string | undefined): void;
  sendBinary(data: Uint8Array, stream: string | undefined): void;
  readonly outbound: {
    /** Whether everything that was sent has left. */
    readonly isIdle: boolean;
    /** Resolves when the client has read enough to be sent more; undefined if it already has. */
    ready(): Promise<void> | undefined;
  };
  /** Closes this stream, or the socket on a route without streams. */
  closeStream(stream: string | undefined, code: number, reason: string): void;
  /** Closes the socket, with all its streams. */
  close(code: number, reason: string): void;
}

type Work = () => Promise<void> | void;

/** Facts of an action on this instance. They need the instances of permissions, because a permission's question may be a field. */
interface ActionTraits {
  /** Whether a permission judges the object of a request. */
  readonly looksAtObject: boolean;
  /** Whether the object of a request is only shown, as it is stored. */
  readonly showsOnly: boolean;
}

/** Actions of the protocol; a consumer's own action of this name has precedence. */
const cancelAction = 'cancel';
const unsubscribeAction = 'unsubscribe';
/** The action's name that permissions see for a subscription without a client's request; no action has this name on the wire. */
const ownAction = 'on_connect';

/** Bytes of heap of a request without its frame: measured, and rounded up. */
const requestBytes = 1_024;

/** Bytes of heap of a waiting binary frame. */
export function binaryFrameBytes(data: Uint8Array): number {
  return requestBytes + heapBytesOf(data);
}

/** One for all connections: how a socket ended tells no stack, and taking one costs more than the rest of an end. */
const disconnected = new Disconnected();

let requests = 0;

/**
 * One consumer of one connection, from its first frame to its end. It passes requests through its queue to the dispatcher, and messages of
 * the channel layer to its observers and message methods.
 */
export class ConsumerSession implements RequestTarget, BoundSession {
  /** The address of the consumer on the channel layer. */
  readonly name: string;
  readonly instance: ApiConsumer;
  readonly scope: Scope;
  /** Undefined unless the explorer watches the connection. */
  readonly inspector: DeliveryInspector | undefined;
  readonly quotas: Quotas;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly lookupKwarg: string;
  /** The unit of work, begun in the database of the consumer's model. */
  readonly unitOfWork: UnitOfWork;
  readonly groups: ConsumerGroups;
  readonly subscriptions: Subscriptions;
  readonly #holdings: Holdings = { subscriptions: 0, groups: 0, bytes: 0, waitingBytes: 0 };
  readonly #queue: RequestQueue;
  readonly #events: EventDelivery;
  readonly #detached: DetachedMethods | undefined;
  /** Made at the first request for an object. */
  #traits: Map<ActionDefinition, ActionTraits> | undefined;
  /** Aborts the consumer's `signal`; made when the consumer reads it. */
  #controller: AbortController | undefined;
  #end: ApiError | Disconnected | undefined;
  /** The error with which every later request is answered. */
  #refusal: ApiError | undefined;
  /** Whether it began while the channel layer could not be reached. */
  #isCutOff = false;
  #closing: Promise<void> | undefined;
  #waitingMessages = 0;
  /** The number of users that have left. A request of one of them must not subscribe for the next. */
  #usersLeft = 0;
  /** The number of users whose groups are left too: earlier messages may be theirs. */
  #groupsLeft = 0;
  /** Whether the consumer's `onUserChange` still has to run. */
  #owesUserChange = false;
  /** The latest message that runs, or that waits to. */
  #lastMessage: Promise<void> | undefined;

  /**
   * @param stream undefined on a route with one consumer
   * @throws the error of the consumer's constructor
   */
  constructor(
    readonly compiled: CompiledConsumer,
    readonly connection: SessionConnection,
    readonly services: SessionServices,
    readonly stream: string | undefined,
  ) {
    const { quotas } = connection;
    this.quotas = quotas;
    const { unitOfWork, settings, logger } = services;
    this.scope = connection.scope;
    this.inspector = connection.inspector;
    this.settings = settings;
    this.logger = logger;
    this.lookupKwarg = compiled.lookupKwarg;
    this.unitOfWork = compiled.model ? unitOfWork.of(compiled.model) : unitOfWork;
    this.instance = this.scope.container.resolve(compiled.consumer);
    this.name = services.layer.newChannel();
    this.#events = new EventDelivery(this, this.#holdings);
    this.subscriptions = new Subscriptions(services.subscribed, this.#events, this.#holdings);
    this.groups = new ConsumerGroups(services.layer, this.name, this.#holdings, quotas);
    this.#queue = new RequestQueue(this, quotas, this.scope[ownership]);
    quotas.add(this.#holdings);
    bindConsumer(this.instance, this);
    this.#detached = this.#detachedMethods();
    void this.#queue.addWork(() => this.#connect());
  }

  /** Aborted when the connection or this stream ends, and when the server closes. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#end) this.#controller.abort(this.#end);
    }
    return this.#controller.signal;
  }

  // Frames of the client

  /** Receives a request, or a frame that is no valid request; it is answered in line with the others. Never throws. */
  receiveRequest(payload: unknown): void {
    const { quotas } = this;
    try {
      const takeName = this.compiled.takesActionName
        ? (rest: Record<string, unknown>) => this.instance['getActionName'](rest)
        : undefined;
      this.#accept(toRequest(payload, takeName, quotas.limits.requestIdLength), payload);
    } catch (thrown) {
      const error = this.#translate(thrown);
      // A full queue is not made longer by an error reply.
      if (error instanceof Throttled) this.#tell(error, payload);
      else this.#receiveInLine(async () => error, requestBytes + heapBytesOf(payload), payload);
    }
  }

  /** Receives a binary frame, in line with the requests. Errors of the consumer are answered. Never throws. */
  receiveBinary(data: Uint8Array): void {
    this.#receiveInLine(
      async () => this.#refusal ?? (await this.#runHook('binary', () => this.instance['onBinary'](data))),
      binaryFrameBytes(data),
    );
  }

  #receiveInLine(work: () => Promise<ApiError | undefined>, bytes: number, payload?: unknown): void {
    try {
      this.quotas.requireRequest(false, bytes);
    } catch (thrown) {
      this.#tell(this.#translate(thrown), payload);
      return;
    }
    void this.#queue.addWork(async () => this.#tell(await work(), payload), bytes);
  }

  #tell(error: ApiError | undefined, payload?: unknown): void {
    if (!error) return;
    const { action, requestId } = addressOf(payload, this.quotas.limits.requestIdLength);
    this.#answer(errorReply(error, { action: this.compiled.takesActionName ? null : action, requestId }), error);
  }

  /** Answers a frame that does not reach the dispatcher, which would log it. */
  #answer(reply: Reply, error?: ApiError): void {
    this.send(reply);
    this.services.activity?.request(reply, this.stream ?? this.instance.constructor.name, error);
  }

  #accept(asked: ActionRequest, payload: unknown): void {
    const declared = this.compiled.actions.get(asked.action);
    const definition = declared?.besideTarget && Object.hasOwn(asked.kwargs, 'target') ? undefined : declared;
    if (!definition && asked.action === cancelAction) {
      this.#cancel(asked);
      return;
    }
    const bytes = requestBytes + heapBytesOf(payload);
    this.quotas.requireRequest(definition?.detached ?? false, bytes);
    this.#queue.add(new Request(this, definition, ++requests, asked, bytes));
  }

  /** Cancels at once: in line, it would wait for the request that it is to cancel. */
  #cancel(asked: ActionRequest): void {
    const { action, requestId } = asked;
    const { target } = asked.kwargs;
    const request = this.#queue.find(target);
    if (isRequestId(target) && request) {
      this.#answer({ action, requestId, status: Status.ok, data: 'null', errors: [] });
      request.abort(new Cancelled());
      return;
    }
    const error = isRequestId(target)
      ? new NotFound('No request of this id is waiting or running.')
      : new ParseError('Name the request_id to cancel as "target".');
    this.#answer(errorReply(error, asked), error);
  }

  /** Starts a request. If the client does not read its replies, its requests wait. */
  start(request: Request): void {
    const ready = this.connection.outbound.isIdle ? undefined : this.ready();
    if (ready) void ready.then(() => this.#carry(request));
    else this.#carry(request);
  }

  #carry(request: Request): void {
    // It may have been cancelled while it waited.
    if (request.isOver) request.settle();
    else if (this.#refusal) {
      request.fail(this.#refusal);
      request.settle();
    } else if (isUnsubscribe(request)) this.#unsubscribe(request);
    else this.services.dispatcher.dispatch(request);
  }

  /** Unsubscribes in line, so that it comes after the request that subscribed; a detached request may still be about to subscribe. */
  #unsubscribe(request: Request): void {
    const { target } = request.kwargs;
    request.isStarted = true;
    try {
      if (!isRequestId(target)) throw new ParseError('Name the request_id of the subscription as "target".');
      const subscribing = this.#queue.find(target);
      if (subscribing && !subscribing.isUnsubscribed) {
        subscribing.isUnsubscribed = true;
        subscribing.whenAnswered(() => this.subscriptions.end(target));
      }
      this.subscriptions.end(target);
      request.succeed({ status: Status.noContent, data: 'null' });
    } catch (thrown) {
      request.fail(this.#translate(thrown));
    }
    request.settle();
  }

  // Calls of the dispatcher

  checkedKey(sent: unknown): unknown {
    const { model } = this.compiled;
    if (!model || !(this.instance instanceof BaseModelConsumer)) return sent;
    return checkedKey(this.instance, this.unitOfWork.em.getMetadata(model), sent);
  }

  async loadObject(context: ActionContext): Promise<object> {
    const { instance } = this;
    const { model } = this.compiled;
    if (!model || !(instance instanceof BaseModelConsumer)) throw new NotFound();
    const meta = this.unitOfWork.em.getMetadata(model);
    const checked = context.kwargs[this.lookupKwarg];
    const shown = this.#showsOnly(context) ? await shownObject(instance, meta, checked, context) : undefined;
    return shown ?? instance['getObject'](sentKey(instance, meta, checked), context);
  }

  looksAtObject(definition: ActionDefinition): boolean {
    return this.#traitsOf(definition).looksAtObject;
  }

  permissionsOf(action: string): PermissionChecker {
    return this.compiled.actions.get(action)?.permissions ?? this.compiled.permissions;
  }

  mayWriteAtOnce({ member }: ActionDefinition): boolean {
    if (!(this.instance instanceof BaseModelConsumer)) return false;
    const method: object = Reflect.get(this.instance, member);
    return (plainWriteOf(method) ?? bulkWriteOf(method)) !== undefined;
  }

  async writeAtOnce(
    request: Request,
    definition: ActionDefinition,
    kwargs: unknown,
    judge: (object: object) => Promise<boolean>,
  ): Promise<object | undefined> {
    const method: object = Reflect.get(this.instance, definition.member);
    if (!(this.instance instanceof BaseModelConsumer)) return undefined;
    const bulk = bulkWriteOf(method);
    if (bulk) return writeRows(this.instance, request, bulk, kwargs as Readonly<Record<string, unknown>>);
    const kind = plainWriteOf(method);
    if (!kind) return undefined;
    const { data } = (kwargs ?? {}) as { readonly data?: unknown };
    const isJudged = kind !== 'create' && this.looksAtObject(definition);
    const key = request.kwargs[this.lookupKwarg];
    return writeRow(this.instance, request, { kind, key, data, ...(isJudged && { judge }) });
  }

  /** Whether the object of a request is shown as it is stored, and no permission judges it: then it need not be an entity. */
  #showsOnly(context: ActionContext): boolean {
    if (!(context instanceof Request) || !context.definition) return false;
    const { showsOnly, looksAtObject } = this.#traitsOf(context.definition);
    return showsOnly && !looksAtObject;
  }

  #traitsOf(definition: ActionDefinition): ActionTraits {
    this.#traits ??= new Map();
    const known = this.#traits.get(definition);
    if (known) return known;
    const { instance, scope } = this;
    const { member, permissions, reply } = definition;
    const isPlain = !reply && !overrides(instance.constructor as Class, 'getObject');
    const traits: ActionTraits = {
      looksAtObject: !permissions.isOpen && permissions.opinionsOn(scope).objects,
      showsOnly: isPlain && isPlainRetrieve(Reflect.get(instance, member)),
    };
    this.#traits.set(definition, traits);
    return traits;
  }

  show(result: unknown, request: Request): Promise<unknown> {
    const consumer = this.instance;
    const { model: entity } = this.compiled;
    const isReply = result instanceof ActionReply;
    const reply = (isReply ? result.serializer : undefined) ?? request.definition?.reply;
    const data = isReply ? result.data : result;
    if (!entity || !(consumer instanceof BaseModelConsumer))
      return showResult(data, { reply, model: undefined, context: this.#serializerContext(request) });
    const model = { entity, serializer: consumer['getSerializer'](request) };
    return showResult(data, { reply, model, context: consumer['getSerializerContext'](request) });
  }

  #serializerContext(request: Request): SerializerContext {
    const { unitOfWork, scope } = this;
    return { unitOfWork, request, resolve: (serializer) => scope.container.resolve(serializer) };
  }

  ready(): Promise<void> | undefined {
    return this.connection.outbound.ready();
  }

  send(reply: Reply, latest?: string): void {
    this.connection.send(reply, this.stream, latest);
  }

  answer(request: Request, reply: Reply | undefined): void {
    const { dispatcher, activity } = this.services;
    const isAction = !isUnsubscribe(request);
    if (reply) this.connection.send(reply, this.stream);
    if (isAction) dispatcher.log.answered(request);
    else activity?.request(request, request.label, request.error);
  }

  abandoned(request: Request): void {
    const { quotas } = this;
    if (request.isDetached) quotas.abandonedDetached += 1;
    else quotas.abandoned += 1;
    // Work that observes its signal ends within this turn of the event loop.
    queueMicrotask(() => {
      if (!request.isSettled) request.timer = this.services.dispatcher.log.watchAbandoned(request);
    });
    this.#queue.release(request);
  }

  settled(request: Request): void {
    const { quotas } = this;
    if (request.isAbandoned) {
      request.timer?.cancel();
      if (request.isDetached) quotas.abandonedDetached -= 1;
      else quotas.abandoned -= 1;
    }
    this.#queue.settled(request);
  }

  // Calls of the consumer

  /** The request of this consumer that the running code works for, until it is answered. */
  get requestUnderWay(): Request | undefined {
    const request = this.#currentRequest;
    return request?.isOver ? undefined : request;
  }

  /** The request of this consumer that the running code began in, which may be answered already. */
  get #currentRequest(): Request | undefined {
    const request = currentRequest();
    return request?.target === this ? request : undefined;
  }

  /**
   * Checks, before something that lasts longer than a request, that its client may still have it: the next user would receive what a request
   * of the former one joined, and nothing takes back what a request joins after its answer.
   *
   * @throws the reason why not
   */
  #requireUnderWay(request: Request | undefined): void {
    if (this.#refusal) throw this.#refusal;
    request?.requireUnderWay();
    if (request?.isOfFormerUser) throw new Revoked();
  }

  get runningRequests(): readonly Request[] {
    return this.#queue.running;
  }

  /** @throws ConfigurationError if the method is no observer of the consumer */
  #requireObserver(method: unknown): Observer {
    for (const observer of this.compiled.observers.values())
      if (Reflect.get(this.instance, observer.member) === method) return observer;
    throw new ConfigurationError({
      class: this.instance.constructor.name,
      reason: 'subscribes to a method that is not an observer of it.',
      remedy: 'Pass one with @ModelObserver: this.subscribe(this.onMessage, …).',
    });
  }

  subscribe(method: unknown, kwargs: unknown, context: ActionContext | OwnRequest): Promise<void> {
    const request = context instanceof Request && context.target === this ? context : this.#currentRequest;
    const observer = this.#requireObserver(method);
    const asked = context instanceof ActionContext ? context : this.#ownContext(observer, kwargs, context);
    const subscribing = this.#subscribe(observer, kwargs, asked, request);
    return request && !request.isOver ? request.own(subscribing) : this.#noteUnawaited(subscribing);
  }

  /** The context in place of a client's request. */
  #ownContext({ member }: Observer, kwargs: unknown, { requestId }: OwnRequest): ActionContext {
    const { scope, signal } = this;
    const { requestIds } = this.instance;
    const limit = this.quotas.limits.requestIdLength;
    const fault = (reason: string, remedy: string): ConfigurationError =>
      new ConfigurationError({ class: this.instance.constructor.name, member, reason, remedy });
    if (typeof requestId !== 'string' || requestId === '' || requestId.length > limit)
      throw fault(
        `is subscribed to under the request id ${JSON.stringify(requestId) ?? 'undefined'}.`,
        `Give a text of 1 to ${limit} characters: { requestId: 'lobby' }.`,
      );
    if (requestIds && (!Object.hasOwn(requestIds, requestId) || requestIds[requestId] !== member))
      throw fault(
        `is subscribed to under the request id "${requestId}", which contradicts its requestIds.`,
        `Name it there: override readonly requestIds = { ${requestId}: '${member}' } as const.`,
      );
    return new ActionContext({ scope, action: ownAction, requestId, kwargs: { ...(kwargs as object) }, signal });
  }

  /**
   * Subscribes. The subscription is taken back if its request or the rest of this fails. It is refused if the request was already answered,
   * or its user has left.
   */
  async #subscribe(
    observer: Observer,
    kwargs: unknown,
    context: ActionContext,
    request: Request | undefined,
  ): Promise<void> {
    const { subscriptions, quotas } = this;
    const { requestId, action } = context;
    const usersLeft = this.#usersLeft;
    const groups = await observer.groupsOfSubscription(this.instance, kwargs);
    // If the request does not await this, it may itself have logged in since.
    if (usersLeft !== this.#usersLeft) throw new Revoked();
    this.#requireUnderWay(request);
    if (!request) context.signal.throwIfAborted();
    const sent = this.#keptKwargs(context, kwargs);
    const known = subscriptions.find(observer, requestId);
    const added = known ? without(groups, known.groups) : groups;
    const newGroups = subscriptions.countNew(added);
    const asked = subscribingRequest(action, requestId, sent, kwargs, groups);
    const repeated = known?.requests.find(({ key }) => key === asked.key);
    if (!repeated) quotas.requireSubscription(asked.bytes);
    quotas.requireGroups(newGroups);
    const record = known ?? subscriptions.open(observer, requestId, kwargs);
    const takeBack = repeated ? undefined : subscriptions.note(record, asked);
    const noted = repeated ?? asked;
    if (known) subscriptions.addLater(record, added);
    subscriptions.listen(record, added);
    this.#events.expect(record, noted, !known && request !== undefined);
    const undo = (): void => {
      takeBack?.();
      subscriptions.leave(record, added);
    };
    request?.whenAnswered((hasSucceeded) => {
      if (!known) this.#events.confirm(record, hasSucceeded);
      if (!hasSucceeded) undo();
    });
    try {
      await this.#begin(record, known ? added : []);
      // Asked after joining the groups, without earlier answers: later changes of the rights cause a recheck.
      if (observer.hasRights) noted.rights = await rightsFor(observer, context);
    } catch (error) {
      undo();
      throw error;
    }
    this.services.activity?.subscribed(observer.id, record.requestId, groups);
  }

  /**
   * The sent kwargs that its action or the subscription knows, with which its permissions are asked again. Other kwargs are dropped,
   * because they would be kept for as long as the subscription lasts.
   */
  #keptKwargs(context: ActionContext, subscribedWith: unknown): Readonly<Record<string, unknown>> {
    // The application made this context.
    if (!(context instanceof Request)) return context.kwargs;
    const { definition, kwargs } = context;
    const unknown = new Set(definition?.kwargs ? context.unknownKwargs : Object.keys(kwargs));
    if (definition?.isDetail) unknown.delete(this.lookupKwarg);
    for (const name of Object.keys(subscribedWith ?? {})) unknown.delete(name);
    if (unknown.size === 0) return kwargs;
    if (this.settings.development && !this.compiled.isOpen)
      this.logger.debug(
        'Kwargs that neither the action nor the subscription declares are not kept for its permissions and queries.',
        { action: context.name, dropped: [...unknown] },
      );
    return Object.fromEntries(Object.entries(kwargs).filter(([name]) => !unknown.has(name)));
  }

  /**
   * Begins a subscription after a read that began after its permission was given. Inside a transaction, whose connection the read might
   * wait for, it begins after the last read: then the changes of that transaction are among its events.
   */
  async #begin(record: SubscriptionRecord, later: readonly string[]): Promise<void> {
    const { services, unitOfWork } = this;
    const { isInTransaction } = unitOfWork;
    const since = await services.feed.positionFor(record.observer, isInTransaction);
    if (record.since === Number.POSITIVE_INFINITY) record.since = since;
    for (const group of later) record.later?.set(group, since);
  }

  unsubscribe(method: unknown, kwargs: unknown, requestId: RequestId | undefined): Promise<void> {
    return this.own(this.#endSubscription(this.#requireObserver(method), kwargs, requestId));
  }

  async #endSubscription(observer: Observer, kwargs: unknown, requestId: RequestId | undefined): Promise<void> {
    const { subscriptions } = this;
    const isOne = requestId !== undefined && requestId !== null;
    if (isOne && Object.keys(kwargs ?? {}).length === 0) return subscriptions.removeRequest(observer, requestId);
    const groups = await observer.groupsOfSubscription(this.instance, kwargs);
    if (isOne) subscriptions.removeGroupsOf(observer, requestId, groups);
    else subscriptions.removeGroups(observer, groups);
  }

  /** Joins a group. Refused if the request has ended, or came from a former user. */
  async addGroup(group: string): Promise<void> {
    this.#requireUnderWay(this.#currentRequest);
    await this.groups.add(group);
  }

  sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkApplicationGroup(group);
    return this.own(this.services.layer.sendToGroup(group, message));
  }

  sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this.own(this.services.layer.send(channel, message));
  }

  sendJson(value: unknown): void {
    const text = encodeData(value);
    if (!this.#isUnheard()) this.connection.sendText(text, this.stream);
  }

  sendBinary(data: Uint8Array): void {
    if (!this.#isUnheard()) this.connection.sendBinary(data, this.stream);
  }

  /** Whether frames are dropped because the connection or stream has ended, which code in the background cannot know. */
  #isUnheard(): boolean {
    if (!this.groups.ended) return false;
    if (this.settings.development)
      this.logger.debug('A frame was dropped: its connection or stream has ended.', {
        consumer: this.instance.constructor.name,
        path: this.scope.path,
      });
    return true;
  }

  closeSocket(code: number, reason: string): void {
    this.afterRequest(() => this.connection.closeStream(this.stream, code, reason), true);
  }

  /** Calls back after the running request is answered; at once outside of any request. */
  afterRequest(work: () => void, evenIfItFailed = false): void {
    const request = this.requestUnderWay;
    if (request) request.whenAnswered((hasSucceeded) => (hasSucceeded || evenIfItFailed) && work());
    else work();
  }

  /**
   * Makes a promise of the framework, which the consumer may forget to await, belong to the running request, which then fails with it.
   * Outside of any request an unhandled failure is logged.
   */
  own<T>(work: Promise<T>): Promise<T> {
    return this.requestUnderWay?.own(work) ?? this.#noteUnawaited(work);
  }

  /** Logs a failure of work outside of any request, unless the consumer awaits it. */
  #noteUnawaited<T>(work: Promise<T>): Promise<T> {
    const owned = OwnedPromise.of(work);
    work.catch((error) => setImmediate(() => owned.isAwaited || this.#logUnawaited(error)));
    return owned;
  }

  #logUnawaited(error: unknown): void {
    const facts = { consumer: this.instance.constructor.name, path: this.scope.path };
    this.logger.error('A promise that the consumer does not await was rejected.', { ...facts, error });
  }

  // Messages of observers and the channel layer

  /**
   * Whether one more event or message may wait for permissions, observers and actions. A consumer that falls too far behind has its
   * connection closed, so that its client reads again: otherwise it would miss events, or fill the memory of the process.
   */
  hasRoom(bytes: number): boolean {
    if (this.groups.ended) return false;
    const limit = this.quotas.limitOfEvents(this.#events.waiting + this.#waitingMessages, bytes);
    if (limit === undefined) return true;
    this.#overflow(limit);
    return false;
  }

  /** Makes later events wait for this promise, which never rejects. */
  holdEvents(until: Promise<void>): void {
    this.#events.holdUntil(until);
  }

  receiveMessage(message: ChannelMessage): void {
    const bytes = heapBytesOf(message);
    if (this.hasRoom(bytes)) this.#takeMessage(message, bytes);
  }

  #takeMessage(message: ChannelMessage, bytes: number): void {
    const { type } = message;
    const member = this.compiled.messages.get(type);
    if (member === undefined) {
      const facts = { consumer: this.instance.constructor.name, type };
      this.logger.warn('A message of a type that its consumer does not handle was dropped.', facts);
      return;
    }
    const method: (message: ChannelMessage) => Promise<void> | void = Reflect.get(this.instance, member);
    const groupsLeft = this.#groupsLeft;
    const take = (): Promise<void> | void => {
      if (groupsLeft === this.#groupsLeft) return method.call(this.instance, message);
      const facts = { consumer: this.instance.constructor.name, type };
      this.logger.debug('A message was dropped: its user has logged out.', facts);
    };
    this.#waitingMessages += 1;
    this.#holdings.waitingBytes += bytes;
    this.#lastMessage = runDetached(() => this.#inLine('message', take)).finally(() => {
      this.#waitingMessages -= 1;
      this.#holdings.waitingBytes -= bytes;
    });
  }

  #overflow(limit: number): void {
    const facts = { consumer: this.instance.constructor.name, path: this.scope.path, limit };
    this.logger.warn('Too many events wait for a consumer.', facts);
    this.#hearNoMore('Too many events wait.');
  }

  /** Called when the database failed for too long while an event was delivered. */
  missEvent(): void {
    const facts = { consumer: this.instance.constructor.name, path: this.scope.path };
    this.logger.warn('An event was missed: the connection is closed.', facts);
    this.#hearNoMore('Events may have been missed.');
  }

  /** Closes the socket, not only the stream: a closed stream would stay closed, but a client that loses its socket reconnects. */
  #hearNoMore(reason: string): void {
    this.endEvents(disconnected);
    this.connection.close(CloseCode.overloaded, reason);
  }

  /** From now on the client receives no events, messages and frames, but replies to what it has asked for. */
  endEvents(reason: ApiError | Disconnected): void {
    this.groups.end(reason);
    this.#events.end();
  }

  // Beginning and end

  async #connect(): Promise<void> {
    const failure = await this.#runHook('connect', async () => {
      await this.#joinLayer();
      await this.instance['onConnect']();
    });
    if (!failure) return;
    if (safeInstanceof(failure, ChannelLayerUnavailable)) this.#isCutOff = true;
    this.#refusal ??= failure;
    // The client is refused, so it receives nothing of what the hook subscribed to before it failed.
    this.#events.end();
    this.subscriptions.endAll();
  }

  /**
   * Joins the channel layer. If it cannot be reached, the consumer serves requests that do not need it; `mayMissMessages` decides how that
   * ends.
   */
  async #joinLayer(): Promise<void> {
    try {
      await this.services.layer.connect(this.name, (message) => this.receiveMessage(message));
      for (const group of this.compiled.groups) await this.groups.add(group);
    } catch (error) {
      if (!safeInstanceof(error, ChannelLayerUnavailable)) throw error;
      this.#isCutOff = true;
    }
  }

  /** Whether a gap of the channel layer concerns the consumer: then its connection is closed, so that the client begins again. */
  get mayMissMessages(): boolean {
    const { compiled, groups, subscriptions } = this;
    if (this.#isCutOff || compiled.messages.size > 0 || groups.names.length > 0) return true;
    // Signals outside of transactions come through the layer: to observers, and to rules that end subscriptions.
    return subscriptions.all.some(
      ({ observer }) => observer.model === undefined || observer.revocations.some(({ signal }) => signal !== undefined),
    );
  }

  /**
   * Called when another user takes over the socket, or was about to. It ends all subscriptions, all groups that the former user joined and
   * all waiting messages, because groups may be named after users, and no permission would then protect them. Never rejects.
   */
  async switchUser(): Promise<void> {
    this.#usersLeft += 1;
    const own = this.requestUnderWay;
    for (const request of this.runningRequests) if (request !== own) leaveBehind(request);
    const hasLeft = await this.#runUnheard('user', async () => {
      const joined = this.groups.names.filter((group) => !this.compiled.groups.includes(group));
      this.#endSubscriptions();
      await Promise.all(joined.map((group) => this.groups.remove(group)));
      this.#groupsLeft += 1;
    });
    if (hasLeft) this.#tellUserChange();
    // Messages through a group that could not be left belong to the former user.
    else this.closeSocket(CloseCode.serverError, 'The user could not be changed.');
  }

  /** Runs the hook in line, which waits while a login is not answered. */
  #tellUserChange(): void {
    if (this.#owesUserChange) return;
    this.#owesUserChange = true;
    const tell = (): Promise<void> | void => {
      this.#owesUserChange = false;
      return this.instance['onUserChange']();
    };
    void runDetached(() => this.#inLine('message', tell));
  }

  /** Ends all subscriptions, and sends the client one error for each request id. Never rejects. */
  async revoke(): Promise<void> {
    await this.#runUnheard('revoke', () => this.#endSubscriptions());
  }

  #endSubscriptions(): void {
    for (const requestId of this.subscriptions.endAll())
      this.send(errorReply(new Revoked(), { action: 'revoked', requestId }));
  }

  /** Resolves when everything that came until now is answered. */
  async answeredAll(): Promise<void> {
    await Promise.all(this.#queue.open.map((request) => request.answered));
  }

  /**
   * Aborts running and waiting requests, and refuses later ones. A reason other than Disconnected is sent to the client. Resolves when no
   * answer is left to send.
   */
  async abort(reason: ApiError | Disconnected): Promise<void> {
    this.quotas.remove(this.#holdings);
    this.#end ??= reason;
    this.#queue.isEnding = true;
    this.#controller?.abort(reason);
    if (reason instanceof ApiError) this.#refusal = reason;
    const open = [...this.#queue.open];
    for (const request of open) request.abort(reason);
    await Promise.all(open.map((request) => request.answered));
  }

  /** Leaves all groups, calls the consumer's disconnect hook, and waits for its background work. Never rejects. */
  close(code: number, reason: ApiError | Disconnected = disconnected): Promise<void> {
    this.#closing ??= this.#close(code, reason);
    return this.#closing;
  }

  async #close(code: number, reason: ApiError | Disconnected): Promise<void> {
    this.endEvents(reason);
    this.subscriptions.endAll();
    void this.abort(reason);
    await this.#queue.addWork(async () => {
      const { instance } = this;
      await this.#runUnheard('leave', () => this.services.layer.disconnect(this.name));
      if (hasOwnHook(instance, 'onDisconnect'))
        await this.#runUnheard('disconnect', () => instance['onDisconnect'](code));
      if (this.#detached) await this.#runUnheard('detached', () => this.#detached?.ended());
    });
  }

  /** Resolves when every event and message that arrived has been delivered. */
  async idle(): Promise<void> {
    await Promise.all([this.#events.idle(), this.#lastMessage]);
  }

  /** Resolves when all of its work has ended, including abandoned work; undefined if no work runs. */
  settledAll(): Promise<unknown> | undefined {
    const abandoned = this.#queue.open.filter(({ isAbandoned }) => isAbandoned);
    if (abandoned.length === 0 && this.#events.isIdle && this.#waitingMessages === 0) return undefined;
    return Promise.all([...abandoned.map((request) => request.whenSettled), this.idle()]);
  }

  #detachedMethods(): DetachedMethods | undefined {
    const { detached } = this.compiled;
    if (detached.length === 0) return undefined;
    const { logger, unitOfWork } = this;
    return new DetachedMethods(this.instance, detached, unitOfWork, logger, this.signal, (begin) =>
      this.afterRequest(begin),
    );
  }

  /** Runs work in line, unless the consumer has refused to connect or has ended. */
  #inLine(hook: string, work: Work): Promise<void> {
    return this.#queue.addWork(async () => {
      if (!this.#end && !this.#refusal) await this.#runUnheard(hook, work);
    });
  }

  /**
   * Runs a hook with the time limit of actions.
   *
   * @returns its error, for the client
   */
  async #runHook(hook: string, work: Work): Promise<ApiError | undefined> {
    const error = await this.#failureOf(hook, work);
    if (error instanceof TimeLimitExceeded) this.logger.warn('A hook exceeded its time limit.', this.#factsOf(hook));
    return error;
  }

  /**
   * Runs a hook and logs its failure, because no client can be answered.
   *
   * @returns whether it succeeded
   */
  async #runUnheard(hook: string, work: Work): Promise<boolean> {
    const error = await this.#failureOf(hook, work);
    // Unexpected errors are in the log already.
    if (error && !(error instanceof UnexpectedError))
      this.logger.error('A hook failed.', { ...this.#factsOf(hook), error });
    return !error;
  }

  async #failureOf(hook: string, work: Work): Promise<ApiError | undefined> {
    try {
      await this.services.dispatcher.runHook(work);
      return undefined;
    } catch (thrown) {
      const { ended } = this.groups;
      // It could join nothing more, because its client has disconnected; only the disconnect hook knows that.
      if (hook !== 'disconnect' && ended instanceof Disconnected && thrown === ended) return undefined;
      return this.services.errors.translate(thrown, this.#factsOf(hook));
    }
  }

  #factsOf(hook: string): LogFields {
    return { consumer: this.instance.constructor.name, hook, path: this.scope.path };
  }

  #translate(thrown: unknown): ApiError {
    return this.services.errors.translate(thrown, { path: this.scope.path });
  }
}

/** Most consumers have none; a hook may be a field, which only the instance shows. */
function hasOwnHook(consumer: ApiConsumer, hook: 'onConnect' | 'onDisconnect'): boolean {
  return Reflect.get(consumer, hook) !== Reflect.get(ApiConsumer.prototype, hook);
}

function isRequestId(target: unknown): target is string | number {
  return typeof target === 'string' || typeof target === 'number';
}

function isUnsubscribe({ definition, action }: Request): boolean {
  return !definition && action === unsubscribeAction;
}

/** Leaves a former user's request. A detached one may go on for an hour, and would show that user's data to the new one. */
function leaveBehind(request: Request): void {
  request.isOfFormerUser = true;
  if (request.isDetached) request.abort(new Revoked('The user of this request is no longer logged in.'));
}
