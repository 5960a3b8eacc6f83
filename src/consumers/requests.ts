import type { ActionTarget } from '../dispatch/action-target.js';
import type { Dispatcher } from '../dispatch/dispatcher.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { Exchange } from '../dispatch/exchange.js';
import { RequestQueue } from '../dispatch/request-queue.js';
import { ApiError, Cancelled, type Disconnected, NotFound, ParseError, Throttled } from '../errors.js';
import type { Subscriptions } from '../observers/subscriptions.js';
import { Status } from '../status.js';
import { addressOf, errorReply, type TakeActionName, toRequest } from '../wire/codec.js';
import type { ActionRequest, Reply } from '../wire/messages.js';
import { ApiConsumer } from './api-consumer.js';
import type { Ceilings } from './ceilings.js';

export interface RequestParts {
  readonly target: ActionTarget;
  readonly dispatcher: Dispatcher;
  readonly errors: ErrorTranslator;
  readonly send: (reply: Reply) => void;
  /** Begins the ids of its requests. */
  readonly name: string;
  readonly consumer: ApiConsumer;
  readonly ceilings: Ceilings;
  readonly subscriptions: Pick<Subscriptions, 'end'>;
}

/** Actions of the protocol; a consumer with one of its own of that name keeps it. */
const cancelAction = 'cancel';
const unsubscribeAction = 'unsubscribe';

/** The requests of one consumer, from what came to the dispatcher. */
export class Requests {
  readonly #parts: RequestParts;
  readonly #queue = new RequestQueue();
  readonly #takeName: TakeActionName | undefined;
  /** What still runs of requests that were aborted. */
  #abandoned: readonly Promise<void>[] = [];
  #count = 0;
  /** Binary frames, and answers to what is no request, that wait. */
  #works = 0;
  #refusal: ApiError | undefined;

  constructor(parts: RequestParts) {
    this.#parts = parts;
    this.#takeName = takeNameOf(parts.consumer);
  }

  /** How many wait for those before them. */
  get waiting(): number {
    return this.#queue.waiting + this.#works;
  }

  /** How many detached ones are open, and what still runs of requests that were aborted. */
  get detached(): number {
    return this.#queue.detached + this.#abandoned.length;
  }

  /** How many still run although they were aborted. */
  get abandoned(): number {
    return this.#abandoned.length + this.#queue.ending;
  }

  /** What every request is answered with from now on. */
  get refusal(): ApiError | undefined {
    return this.#refusal;
  }

  /** The first refusal stays. */
  refuse(error: ApiError | undefined): void {
    this.#refusal ??= error;
  }

  /** A request, or what a client took for one; answered in line with the others. Never throws. */
  receive(payload: unknown): void {
    const { target, errors, ceilings } = this.#parts;
    try {
      this.#accept(toRequest(payload, this.#takeName, ceilings.limits.requestIdLength));
    } catch (thrown) {
      const error = errors.translate(thrown, { path: target.scope.path });
      // A line that is full is not made longer.
      if (error instanceof Throttled) this.#tell(error, payload);
      else this.#addInLine(async () => error, payload);
    }
  }

  /** What is no request, and yet in line with them: a failure is answered. Never throws. */
  receiveWork(work: () => Promise<ApiError | undefined>): void {
    this.#addInLine(async () => this.#refusal ?? (await work()));
  }

  #addInLine(work: () => Promise<ApiError | undefined>, payload?: unknown): void {
    const { ceilings, errors, target } = this.#parts;
    try {
      ceilings.requireRequest(false);
    } catch (thrown) {
      this.#tell(errors.translate(thrown, { path: target.scope.path }), payload);
      return;
    }
    this.#works += 1;
    void this.addWork(async () => {
      this.#works -= 1;
      this.#tell(await work(), payload);
    });
  }

  /** Work of the consumer itself, in line with the requests. It never rejects. */
  addWork(work: () => Promise<void>): Promise<void> {
    return this.#queue.addWork(work);
  }

  /**
   * Aborts what runs and waits, and refuses what still comes; a reason other than Disconnected is told to the client.
   * Resolves when nothing is left to be answered.
   */
  async abort(reason: ApiError | Disconnected): Promise<void> {
    if (reason instanceof ApiError) this.#refusal = reason;
    const { open } = this.#queue;
    for (const exchange of open) exchange.abort(reason);
    await Promise.all(open.map((exchange) => exchange.ended));
  }

  /** Resolves when the work of aborted requests has ended as well. */
  async settled(): Promise<void> {
    await Promise.all(this.#abandoned);
  }

  /** Resolves once what came until now is answered. */
  async answered(): Promise<void> {
    await Promise.all(this.#queue.open.map((exchange) => exchange.ended));
  }

  /** The request of an id of ours, while a reply is due that events have to wait for. */
  findPending(id: string): Exchange | undefined {
    const exchange = this.findOpen(id);
    return exchange?.isDetached ? undefined : exchange;
  }

  /** Requests that run. */
  get started(): readonly Exchange[] {
    return this.#queue.open.filter((exchange) => exchange.isStarted && !exchange.isEnded);
  }

  /** The request of an id of ours, while it waits for its reply. */
  findOpen(id: string | undefined): Exchange | undefined {
    return this.#queue.open.find((exchange) => exchange.id === id && !exchange.isEnded);
  }

  #tell(error: ApiError | undefined, payload?: unknown): void {
    if (!error) return;
    const { action, requestId } = addressOf(payload, this.#parts.ceilings.limits.requestIdLength);
    this.#parts.send(errorReply(error, { action: this.#takeName ? null : action, requestId }));
  }

  #accept(request: ActionRequest): void {
    const { target, name, send, ceilings, dispatcher } = this.#parts;
    if (request.action === cancelAction && !target.actions.has(cancelAction)) {
      this.#cancel(request);
      return;
    }
    const isDetached = target.actions.find(request.action)?.detached ?? false;
    ceilings.requireRequest(isDetached);
    const exchange = new Exchange(`${name}:${this.#count++}`, request, isDetached, send);
    if (!this.#isUnsubscribe(request)) dispatcher.expect(target, exchange);
    this.#queue.add(exchange, () => this.#dispatch(exchange));
  }

  /** What a client does not read holds up what it asks for. */
  async #dispatch(exchange: Exchange): Promise<void> {
    await this.#parts.target.ready();
    if (exchange.isEnded) return;
    if (this.#refusal) exchange.fail(this.#refusal);
    else if (this.#isUnsubscribe(exchange.request)) await this.#unsubscribe(exchange);
    else await this.#parts.dispatcher.dispatch(this.#parts.target, exchange);
    if (exchange.signal.aborted) this.#note(exchange.settled);
  }

  /** A consumer with an action of this name keeps it. */
  #isUnsubscribe({ action }: ActionRequest): boolean {
    return action === unsubscribeAction && !this.#parts.target.actions.has(action);
  }

  #note(work: Promise<void>): void {
    this.#abandoned = this.#abandoned.concat(work);
    void work.then(() => {
      this.#abandoned = this.#abandoned.filter((other) => other !== work);
    });
  }

  /** In line, so that it comes after the request that subscribed; one that is detached may still be about to. */
  async #unsubscribe(exchange: Exchange): Promise<void> {
    const { subscriptions, errors, target: consumer } = this.#parts;
    const { target } = exchange.request.kwargs;
    const fail = (thrown: unknown): ApiError => errors.translate(thrown, { path: consumer.scope.path });
    if (!isRequestId(target))
      return exchange.fail(new ParseError('Name the request_id of the subscription as "target".'));
    this.#findRequest(target)?.whenEnded(() => void subscriptions.end(target).catch(fail));
    try {
      await subscriptions.end(target);
      exchange.succeed({ status: Status.noContent, data: 'null' });
    } catch (thrown) {
      exchange.fail(fail(thrown));
    }
  }

  #findRequest(requestId: unknown): Exchange | undefined {
    return this.#queue.open.find((open) => open.request.requestId === requestId && !open.isEnded);
  }

  /** Not in line: it would wait behind what it is to cancel. */
  #cancel(request: ActionRequest): void {
    const { send } = this.#parts;
    const { action, requestId, kwargs } = request;
    const { target } = kwargs;
    const exchange = this.#findRequest(target);
    if (!isRequestId(target)) {
      send(errorReply(new ParseError('Name the request_id to cancel as "target".'), request));
    } else if (!exchange) {
      send(errorReply(new NotFound('No request of this id is waiting or running.'), request));
    } else {
      send({ action, requestId, status: Status.ok, data: 'null', errors: [] });
      exchange.abort(new Cancelled());
    }
  }
}

function isRequestId(target: unknown): target is string | number {
  return typeof target === 'string' || typeof target === 'number';
}

/** None where actions are told in the usual way. */
function takeNameOf(consumer: ApiConsumer): TakeActionName | undefined {
  if (consumer['getActionName'] === ApiConsumer.prototype['getActionName']) return undefined;
  return (payload) => consumer['getActionName'](payload);
}
