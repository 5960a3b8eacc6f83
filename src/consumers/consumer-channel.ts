import { AsyncResource } from 'node:async_hooks';
import { randomUUID } from 'node:crypto';
import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import { Membership } from '../channel-layer/membership.js';
import type { ActionTarget } from '../dispatch/action-target.js';
import type { ActionDefinition, Actions } from '../dispatch/actions.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import type { Exchange } from '../dispatch/exchange.js';
import { ActionReply } from '../dispatch/reply.js';
import { type ApiError, Disconnected, NotFound } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Observer } from '../observers/observer.js';
import { Subscriptions } from '../observers/subscriptions.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { SerializerContext } from '../serializers/serializer.js';
import type { Settings } from '../settings.js';
import { origin } from '../signals/origin.js';
import type { Reply, RequestId } from '../wire/messages.js';
import { type ApiConsumer, bindConsumer, type ConsumerLink } from './api-consumer.js';
import type { Commits } from './arrivals.js';
import { Background } from './background.js';
import type { Ceilings } from './ceilings.js';
import { type CompiledConsumer, requireObserver } from './compiled-consumer.js';
import { Deliveries } from './deliveries.js';
import { HookRunner } from './hook-runner.js';
import { InboundMessages } from './inbound-messages.js';
import { Intake } from './intake.js';
import { BaseModelConsumer, modelOf, settingsOf } from './model-consumer.js';
import { showResult } from './model-result.js';
import { type ConsumerSocket, Reach } from './reach.js';
import { Requests } from './requests.js';
import { Subscribing } from './subscribing.js';
import { UserChange } from './user-change.js';

export interface ChannelParts {
  readonly scope: Scope;
  readonly layer: ChannelLayer;
  readonly dispatcher: Dispatcher;
  readonly errors: ErrorTranslator;
  readonly unitOfWork: UnitOfWork;
  readonly publisher: Commits;
  readonly logger: Logger;
  readonly settings: Settings;
  readonly socket: ConsumerSocket;
  readonly ceilings: Ceilings;
}

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
  readonly #parts: ChannelParts;
  readonly #requests: Requests;
  readonly #subscribing: Subscribing;
  readonly #intake: Intake;
  readonly #background: Background;
  readonly #hooks: HookRunner;
  readonly #life = new AbortController();
  /** Outside of every request: messages and background work are nobody's transaction. */
  readonly #outside = new AsyncResource('SignalboxConsumer');
  #closing: Promise<void> | undefined;

  /** @throws what the consumer's constructor throws */
  constructor(compiled: CompiledConsumer, parts: ChannelParts) {
    this.#compiled = compiled;
    this.#parts = parts;
    this.instance = parts.scope.container.resolve(compiled.consumer);
    const { layer, socket, logger, unitOfWork, ceilings } = parts;
    const send = (reply: Reply, latest?: string): void => socket.reply(reply, latest && `${this.name}:${latest}`);
    const consumer = this.instance;
    this.#hooks = new HookRunner(parts, consumer);
    const membership = new Membership(layer, this.name, (added) => ceilings.requireGroups(added));
    this.reach = new Reach({ ...parts, membership, consumer });
    const subscriptions = new Subscriptions(membership, () => ceilings.requireSubscription());
    const unsubscribe = (id: string | number): Promise<void> => subscriptions.end(id);
    this.#requests = new Requests({ ...parts, target: this, send, name: this.name, consumer, unsubscribe });
    ceilings.add({ requests: this.#requests, subscriptions, groups: membership }, this.signal);
    const findPending = (id: string): Exchange | undefined => this.#requests.findPending(id);
    const known = { ...parts, ...compiled, consumer, send, subscriptions };
    const deliveries = new Deliveries({ ...known, findPending, loadObject: (context) => this.loadObject(context) });
    const findRequest = (): Exchange | undefined => this.userChange.requireCurrent();
    this.#subscribing = new Subscribing({ ...parts, consumer, subscriptions, deliveries, findRequest });
    const inLine = (work: () => Promise<void> | void): Promise<void> =>
      this.#outside.runInAsyncScope(() => this.#inLine('message', work));
    const messages = new InboundMessages({ consumer, handlers: compiled.messages, inLine, logger });
    const cut = (code: number, reason: string): void => socket.close(code, reason);
    this.#intake = new Intake({ ...parts, deliveries, messages, consumer, close: cut });
    const own = { requests: this.#requests, subscriptions, hooks: this.#hooks, inLine };
    const close = (code: number, reason: string): void => this.closeSocket(code, reason);
    this.userChange = new UserChange({ ...own, consumer, reach: this.reach, socket, close, groups: compiled.groups });
    const afterRequest = (begin: () => void): void => this.#afterRequest(begin);
    const life = { signal: this.signal, outside: this.#outside, members: compiled.detached };
    this.#background = new Background({ ...life, consumer, unitOfWork, logger, afterRequest });
    bindConsumer(consumer, this);
    this.#requests.addWork(() => this.#connect());
  }

  get scope(): Scope {
    return this.#parts.scope;
  }

  get services(): Pick<ChannelParts, 'settings' | 'logger'> {
    return this.#parts;
  }

  get actions(): Actions {
    return this.#compiled.actions;
  }

  /** Begun from the database of the consumer's model. */
  get unitOfWork(): UnitOfWork {
    const { unitOfWork } = this.#parts;
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
      await this.#hooks.runUnheard('leave', () => this.#parts.layer.disconnect(this.name));
      await this.#hooks.runUnheard('disconnect', () => this.instance['onDisconnect'](code));
      await this.#hooks.runUnheard('detached', () => this.#background.ended());
    });
  }

  async #connect(): Promise<void> {
    const failure = await this.#hooks.run('connect', async () => {
      await this.#parts.layer.connect(this.name, (message) => this.#intake.receive(message));
      for (const group of this.#compiled.groups) await this.reach.addGroup(group);
      await this.instance['onConnect']();
    });
    this.#requests.refuse(failure);
  }

  /** Nothing any more for a consumer that refused to connect, or is gone. */
  #inLine(hook: string, work: () => Promise<void> | void): Promise<void> {
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
