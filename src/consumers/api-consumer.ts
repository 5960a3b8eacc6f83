import { ConfigurationError } from '../errors.js';
import type { KwargsOfObserver, ObserverMethod } from '../observers/model-event.js';
import type { Observer } from '../observers/observer.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { RequestId } from '../wire/messages.js';

/** What a consumer needs of the connection that it serves. */
export interface ConsumerLink {
  readonly scope: Scope;
  readonly unitOfWork: UnitOfWork;
  requireObserver(method: unknown): Observer;
  subscribe(observer: Observer, kwargs: unknown, context: ActionContext): Promise<void>;
  unsubscribe(observer: Observer, kwargs: unknown, requestId: RequestId | undefined): Promise<void>;
}

const links = new WeakMap<ApiConsumer, ConsumerLink>();

/** Binds a consumer to its connection; done once, after the container built it. */
export function bindConsumer(consumer: ApiConsumer, link: ConsumerLink): void {
  links.set(consumer, link);
}

/** @throws ConfigurationError in a constructor, where the consumer serves no connection yet */
export function linkOf(consumer: ApiConsumer): ConsumerLink {
  const link = links.get(consumer);
  if (link) return link;
  throw new ConfigurationError({
    class: consumer.constructor.name,
    reason: 'its constructor uses the connection, which it is given afterwards.',
    remedy: 'Do it in onConnect(), or inject Scope.',
  });
}

/**
 * The base of all consumers: one instance per connection and stream. Its public methods with `@Action` are what clients
 * may call; an observer is a public method with `@ModelObserver`; everything else is protected or private.
 */
export abstract class ApiConsumer {
  /** The facts of the connection. */
  protected get scope(): Scope {
    return linkOf(this).scope;
  }

  /** Runs before the first request; what it throws is answered to every request of this stream. */
  protected onConnect(): Promise<void> | void {}

  /** Runs once after the last request, however the connection ended. */
  protected onDisconnect(_code: number): Promise<void> | void {}

  /**
   * From the reply of the current request on, committed changes in the groups of these kwargs are events with its request
   * id. Subscribing again with the same request id adds to the same subscription. A request that fails has subscribed to
   * nothing.
   *
   * @throws ParseError for a request without a request id (400)
   */
  protected async subscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context: ActionContext,
  ): Promise<void> {
    const link = linkOf(this);
    await link.subscribe(link.requireObserver(observer), kwargs, context);
  }

  /**
   * Ends the subscription with the request id of the context, as DCRF does; without a context, takes the groups of these
   * kwargs out of all subscriptions of this connection. Ending what is not there is no error.
   */
  protected async unsubscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context?: ActionContext,
  ): Promise<void> {
    const link = linkOf(this);
    await link.unsubscribe(link.requireObserver(observer), kwargs, context?.requestId);
  }
}
