import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import { Membership } from '../channel-layer/membership.js';
import type { ActionTarget } from '../dispatch/action-target.js';
import type { ActionDefinition, Actions } from '../dispatch/actions.js';
import type { Exchange } from '../dispatch/exchange.js';
import { ActionReply } from '../dispatch/reply.js';
import { type ApiError, Disconnected, NotFound } from '../errors.js';
import type { Observer } from '../observers/observer.js';
import { Subscriptions } from '../observers/subscriptions.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { SerializerContext } from '../serializers/serializer.js';
import { origin } from '../signals/origin.js';
import type { Reply, RequestId } from '../wire/messages.js';
import { type ApiConsumer, bindConsumer, type ConsumerLink } from './api-consumer.js';
import { Background } from './background.js';
import type { Holding } from './ceilings.js';
import type { ChannelParts, ChannelServices } from './channel-parts.js';
import { type CompiledConsumer, requireObserver } from './compiled-consumer.js';
import { Deliveries } from './deliveries.js';
import { HookRunner, type Work } from './hook-runner.js';
import { InboundMessages } from './inbound-messages.js';
import { Intake } from './intake.js';
import { BaseModelConsumer, modelOf, settingsOf } from './model-consumer.js';
import { showResult } from './model-result.js';
import { Reach } from './reach.js';
import { Requests } from './requests.js';
import { Subscribing } from './subscribing.js';
import { UserChange } from './user-change.js';

/**
 * One consumer at its address: what comes from the socket goes through its queue to the dispatcher, what comes from the
 * channel layer to its subscriptions.
 */
export class ConsumerChannel implements ActionTarget, ConsumerLink {
  readonly name = randomUUID();
  readonly instance: ApiConsumer;
  readonly reach: Reach;
  readonly userChange: UserChange;
  readonly #compiled: CompiledConsumer;
  readonly #services: ChannelServices;
  readonly #parts: ChannelParts;
  readonly #requests: Requests;
  readonly #subscribing: Subscribing;
  readonly #intake: Intake;
  readonly #background: Background | undefined;
  readonly #hooks: HookRunner;
  readonly #life = new AbortController();
  readonly #holding: Holding;
  /** Outside of every request: messages and background work are nobody's transaction. */
  readonly #outside = new AsyncResource('SignalboxConsumer');
  #closing: Promise<void> | undefined;

  /** @throws what the consumer's constructor throws */
  constructor(compiled: CompiledConsumer, services: ChannelServices, parts: ChannelParts) {
    this.#compiled = compiled;
    this.#services = services;
    this.#parts = parts;
    const consumer = parts.scope.container.resolve(compiled.consumer);
    this.instance = consumer;
    const { socket, ceilings } = parts;
    const membership = new Membership(services.layer, this.name, (added) => ceilings.requireGroups(added));
    const subscriptions = new Subscriptions(membership, () => ceilings.requireSubscription());
    // One object for all below: there may be ten thousand connections.
    const known = {
      ...services,
      ...compiled,
      ...parts,
      name: this.name,
      target: this,
      consumer,
      membership,
      subscriptions,
      send: (reply: Reply, latest?: string): void => socket.reply(reply, latest && `${this.name}:${latest}`),
      inLine: (work: Work): Promise<void> => this.#outside.runInAsyncScope(() => this.#inLine('message', work)),
      findPending: (id: string): Exchange | undefined => this.#requests.findPending(id),
      findRequest: (): Exchange | undefined => this.userChange.requireCurrent(),
      close: (code: number, reason: string): void => this.closeSocket(code, reason),
      loadObject: (context: ActionContext): Promise<object> => this.loadObject(context),
    };
    this.#hooks = new HookRunner(known);
    this.reach = new Reach(known);
    this.#requests = new Requests(known);
    this.#holding = { requests: this.#requests, subscriptions, groups: membership };
    ceilings.add(this.#holding);
    const deliveries = new Deliveries(known);
    this.#subscribing = new Subscribing(known, deliveries);
    this.#intake = new Intake(known, { deliveries, messages: new InboundMessages(known) });
    this.userChange = new UserChange(known, { requests: this.#requests, hooks: this.#hooks, reach: this.reach });
    this.#background = this.#makeBackground();
    bindConsumer(consumer, this);
    this.#requests.addWork(() => this.#connect());
  }

  get scope(): Scope {
    return this.#parts.scope;
  }

  get services(): Pick<ChannelServices, 'settings' | 'logger'> {
    return this.#services;
  }

  get actions(): Actions {
    return this.#compiled.actions;
  }

  /** Begun from the database of the consumer's model. */
  get unitOfWork(): UnitOfWork {
    const { unitOfWork } = this.#services;
    return this.instance instanceof BaseModelConsumer ? unitOfWork.of(modelOf(this.instance)) : unitOfWork;
  }

  get signal(): AbortSignal {
    return this.#life.signal;
  }

  ready(): Promise<void> | undefined {
    return this.#parts.socket.ready();
  }

  /** A request, or what a client took for one; answered in line with the others. Never throws. */
  receive(payload: unknown): void {
    this.#requests.receive(payload);
  }

  /** A binary frame, in line with the requests. What the consumer throws is answered. Never throws. */
  receiveBinary(data: Uint8Array): void {
    this.#requests.receiveWork(() => this.#hooks.run('binary', () => this.instance['onBinary'](data)));
  }

  /** Resolves once what came until now is answered. */
  answered(): Promise<void> {
    return this.#requests.answered();
  }

  /** Aborts what runs and waits, and refuses what still comes. Resolves when nothing is left to be answered. */
  async abort(reason: ApiError | Disconnected): Promise<void> {
    this.#parts.ceilings.remove(this.#holding);
    this.#life.abort(reason);
    await this.#requests.abort(reason);
  }

  /** Leaves all groups, calls the consumer's disconnect hook, and waits for what it left running. Never rejects. */
  close(code: number, reason: ApiError | Disconnected = new Disconnected()): Promise<void> {
    this.#closing ??= this.#close(code, reason);
    return this.#closing;
  }

  /** Resolves when every event that arrived has been delivered. */
  async idle(): Promise<void> {
    await this.#intake.idle();
  }

  /** Resolves when nothing of it runs any more, not even what was abandoned. */
  async settled(): Promise<void> {
    await Promise.all([this.#requests.settled(), this.idle()]);
  }

  closeSocket(code: number, reason: string): void {
    this.#afterRequest(() => this.#parts.socket.close(code, reason), true);
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
    return requireObserver(this.#compiled, this.instance, method);
  }

  subscribe(observer: Observer, kwargs: unknown, context: ActionContext): Promise<void> {
    return this.#subscribing.subscribe(observer, kwargs, context);
  }

  unsubscribe(observer: Observer, kwargs: unknown, requestId: RequestId | undefined): Promise<void> {
    return this.#subscribing.unsubscribe(observer, kwargs, requestId);
  }

  async #close(code: number, reason: ApiError | Disconnected): Promise<void> {
    this.reach.end(reason);
    this.#intake.end();
    void this.abort(reason);
    await this.#requests.addWork(async () => {
      await this.#hooks.runUnheard('leave', () => this.#services.layer.disconnect(this.name));
      await this.#hooks.runUnheard('disconnect', () => this.instance['onDisconnect'](code));
      await this.#hooks.runUnheard('detached', () => this.#background?.ended());
    });
  }

  #makeBackground(): Background | undefined {
    const { detached: members } = this.#compiled;
    if (members.length === 0) return undefined;
    const { unitOfWork, logger } = this.#services;
    const afterRequest = (begin: () => void): void => this.#afterRequest(begin);
    const life = { signal: this.signal, outside: this.#outside, afterRequest };
    return new Background({ ...life, members, consumer: this.instance, unitOfWork, logger });
  }

  async #connect(): Promise<void> {
    const failure = await this.#hooks.run('connect', async () => {
      await this.#services.layer.connect(this.name, (message) => this.#intake.receive(message));
      for (const group of this.#compiled.groups) await this.reach.addGroup(group);
      await this.instance['onConnect']();
    });
    this.#requests.refuse(failure);
  }

  /** Nothing any more for a consumer that refused to connect, or is gone. */
  #inLine(hook: string, work: Work): Promise<void> {
    return this.#requests.addWork(async () => {
      if (!this.signal.aborted && !this.#requests.refusal) await this.#hooks.runUnheard(hook, work);
    });
  }

  /** Once the request under way is answered; at once outside of any. */
  #afterRequest(work: () => void, evenIfItFailed = false): void {
    const exchange = this.#requests.findOpen(origin.getStore());
    if (exchange) exchange.whenEnded((hasSucceeded) => (hasSucceeded || evenIfItFailed) && work());
    else work();
  }
}
