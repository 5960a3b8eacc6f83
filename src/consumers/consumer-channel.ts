import { randomUUID } from 'node:crypto';
import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import { Membership } from '../channel-layer/membership.js';
import type { ActionTarget } from '../dispatch/action-target.js';
import type { ActionDefinition, Actions } from '../dispatch/actions.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { Exchange } from '../dispatch/exchange.js';
import { ActionReply } from '../dispatch/reply.js';
import { RequestQueue } from '../dispatch/request-queue.js';
import { ApiError, Cancelled, ConfigurationError, Disconnected, NotFound, ParseError } from '../errors.js';
import type { Logger } from '../logger.js';
import { isChangeMessage } from '../observers/change-message.js';
import type { Observer } from '../observers/observer.js';
import { type SubscriptionRecord, Subscriptions } from '../observers/subscriptions.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { SerializerContext } from '../serializers/serializer.js';
import { origin } from '../signals/origin.js';
import { Status } from '../status.js';
import { addressOf, errorReply, toRequest } from '../wire/codec.js';
import type { ActionRequest, Reply, RequestId } from '../wire/messages.js';
import { type ApiConsumer, bindConsumer, type ConsumerLink } from './api-consumer.js';
import type { CompiledConsumer } from './compiled-consumer.js';
import { type Commits, Deliveries } from './deliveries.js';
import { BaseModelConsumer, modelOf, settingsOf } from './model-consumer.js';
import { showResult } from './model-result.js';

export interface ChannelParts {
  readonly scope: Scope;
  readonly layer: ChannelLayer;
  readonly dispatcher: Dispatcher;
  readonly errors: ErrorTranslator;
  readonly unitOfWork: UnitOfWork;
  readonly publisher: Commits;
  readonly logger: Logger;
  readonly send: (reply: Reply) => void;
}

const cancelAction = 'cancel';

/**
 * One consumer at its address: what comes from the socket goes through its queue to the dispatcher, what comes from the
 * channel layer to its subscriptions.
 */
export class ConsumerChannel implements ActionTarget, ConsumerLink {
  readonly name = randomUUID();
  readonly instance: ApiConsumer;
  readonly #compiled: CompiledConsumer;
  readonly #parts: ChannelParts;
  readonly #queue = new RequestQueue();
  readonly #subscriptions: Subscriptions;
  readonly #deliveries: Deliveries;
  #requests = 0;
  #refusal: ApiError | undefined;

  /** @throws what the consumer's constructor throws */
  constructor(compiled: CompiledConsumer, parts: ChannelParts) {
    this.#compiled = compiled;
    this.#parts = parts;
    this.instance = parts.scope.container.resolve(compiled.consumer);
    this.#subscriptions = new Subscriptions(new Membership(parts.layer, this.name));
    const findPending = (id: string): Exchange | undefined => this.#findPending(id);
    this.#deliveries = new Deliveries({
      ...parts,
      ...compiled,
      consumer: this.instance,
      subscriptions: this.#subscriptions,
      findPending,
    });
    bindConsumer(this.instance, this);
    this.#queue.addWork(() => this.#connect());
  }

  get scope(): Scope {
    return this.#parts.scope;
  }

  get actions(): Actions {
    return this.#compiled.actions;
  }

  get unitOfWork(): UnitOfWork {
    return this.#parts.unitOfWork;
  }

  /** A request, or what a client took for one; answered in line with the others. Never throws. */
  receive(payload: unknown): void {
    try {
      this.#accept(toRequest(payload));
    } catch (thrown) {
      const error = this.#parts.errors.translate(thrown, { path: this.scope.path });
      void this.#queue.addWork(async () => this.#parts.send(errorReply(error, addressOf(payload))));
    }
  }

  /**
   * Aborts what runs and waits, and refuses what still comes; a reason other than Disconnected is told to the client.
   * Resolves when nothing is left to be answered.
   */
  async abort(reason: ApiError | Disconnected): Promise<void> {
    if (reason instanceof ApiError) this.#refusal = reason;
    const open = [...this.#queue.open];
    for (const exchange of open) exchange.abort(reason);
    await Promise.all(open.map((exchange) => exchange.ended));
  }

  /** Leaves all groups, then calls the consumer's disconnect hook. Never rejects. */
  async close(code: number): Promise<void> {
    void this.abort(new Disconnected());
    await this.#queue.addWork(async () => {
      await this.#guarded('leave', () => this.#parts.layer.disconnect(this.name));
      await this.#guarded('disconnect', () => this.instance['onDisconnect'](code));
    });
  }

  /** Resolves when every event that arrived has been delivered. */
  idle(): Promise<void> {
    return this.#deliveries.idle();
  }

  get lookupKwarg(): string {
    return settingsOf(this.instance).lookupUrlKwarg;
  }

  async loadObject(context: ActionContext): Promise<object> {
    const key = context.kwargs[this.lookupKwarg];
    if (this.instance instanceof BaseModelConsumer) return this.instance['getObject'](key, context);
    throw new NotFound();
  }

  show(result: unknown, action: ActionDefinition, request: ActionContext): Promise<unknown> {
    const { container } = this.scope;
    const consumer = this.instance;
    const isModel = consumer instanceof BaseModelConsumer;
    const plain: SerializerContext = {
      unitOfWork: this.unitOfWork,
      request,
      resolve: (serializer) => container.resolve(serializer),
    };
    return showResult(result instanceof ActionReply ? result.data : result, {
      reply: (result instanceof ActionReply ? result.serializer : undefined) ?? action.reply,
      model: isModel ? { entity: modelOf(consumer), serializer: consumer['getSerializer'](request) } : undefined,
      context: isModel ? consumer['getSerializerContext'](request) : plain,
    });
  }

  requireObserver(method: unknown): Observer {
    for (const observer of this.#compiled.observers.values()) {
      if (Reflect.get(this.instance, observer.member) === method) return observer;
    }
    throw new ConfigurationError({
      class: this.instance.constructor.name,
      reason: 'subscribes to a method that is no observer of it.',
      remedy: 'Hand over one with @ModelObserver: this.subscribe(this.onMessage, …).',
    });
  }

  /** Undone if its request fails; refused if its request has been answered already. */
  async subscribe(observer: Observer, kwargs: unknown, { requestId, signal }: ActionContext): Promise<void> {
    const groups = await observer.groupsOfSubscription(this.instance, kwargs);
    signal.throwIfAborted();
    const { record, isNew } = this.#subscriptions.open(observer, requestId, kwargs, this.#parts.publisher.commits);
    const added = groups.filter((group) => !record.groups.has(group));
    const exchange = this.#findOpen(origin.getStore());
    if (isNew && exchange) this.#deliveries.holdUntilConfirmed(record, exchange);
    exchange?.whenEnded((hasSucceeded) => hasSucceeded || void this.#undo(record, added));
    await this.#subscriptions.listen(record, added);
  }

  async unsubscribe(observer: Observer, kwargs: unknown, requestId: RequestId | undefined): Promise<void> {
    if (requestId !== undefined && requestId !== null) return this.#subscriptions.removeRequest(observer, requestId);
    return this.#subscriptions.removeGroups(observer, await observer.groupsOfSubscription(this.instance, kwargs));
  }

  async #undo(record: SubscriptionRecord, added: readonly string[]): Promise<void> {
    try {
      await this.#subscriptions.leave(record, added);
    } catch (error) {
      this.#parts.logger.error('A failed subscription could not leave its groups.', { path: this.scope.path, error });
    }
  }

  #accept(request: ActionRequest): void {
    if (request.action === cancelAction && !this.actions.has(cancelAction)) {
      this.#cancel(request);
      return;
    }
    const isDetached = this.actions.find(request.action)?.detached ?? false;
    const exchange = new Exchange(`${this.name}:${this.#requests++}`, request, isDetached, this.#parts.send);
    this.#queue.add(exchange, () => this.#dispatch(exchange));
  }

  async #dispatch(exchange: Exchange): Promise<void> {
    if (this.#refusal) exchange.fail(this.#refusal);
    else await this.#parts.dispatcher.dispatch(this, exchange);
  }

  /** Not in line: it would wait behind what it is to cancel. */
  #cancel(request: ActionRequest): void {
    const { action, requestId, kwargs } = request;
    const { target } = kwargs;
    const exchange = [...this.#queue.open].find((open) => open.request.requestId === target && !open.isEnded);
    if (typeof target !== 'string' && typeof target !== 'number') {
      this.#parts.send(errorReply(new ParseError('Name the request_id to cancel as "target".'), request));
    } else if (!exchange) {
      this.#parts.send(errorReply(new NotFound('No request of this id is waiting or running.'), request));
    } else {
      this.#parts.send({ action, requestId, status: Status.ok, data: 'null', errors: [] });
      exchange.abort(new Cancelled());
    }
  }

  async #connect(): Promise<void> {
    const failure = await this.#guarded('connect', async () => {
      await this.#parts.layer.connect(this.name, (message) => {
        if (isChangeMessage(message)) this.#deliveries.receive(message);
      });
      await this.instance['onConnect']();
    });
    this.#refusal ??= failure;
  }

  async #guarded(hook: string, work: () => Promise<void> | void): Promise<ApiError | undefined> {
    try {
      await this.#parts.dispatcher.runHook(work);
      return undefined;
    } catch (thrown) {
      return this.#parts.errors.translate(thrown, {
        consumer: this.instance.constructor.name,
        hook,
        path: this.scope.path,
      });
    }
  }

  #findOpen(id: string | undefined): Exchange | undefined {
    return [...this.#queue.open].find((exchange) => exchange.id === id && !exchange.isEnded);
  }

  #findPending(id: string): Exchange | undefined {
    const exchange = this.#findOpen(id);
    return exchange?.isDetached ? undefined : exchange;
  }
}
