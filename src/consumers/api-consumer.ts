import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import { ConfigurationError, NotAuthenticated } from '../errors.js';
import type { Logger } from '../logger.js';
import type { KwargsOfObserver, ObserverMethod } from '../observers/model-event.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { PermissionChecker } from '../permissions/permission-checker.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeUser } from '../scope/scope-types.js';
import type { Settings } from '../settings.js';
import { CloseCode, checkReason } from '../status.js';
import { takeAction } from '../wire/codec.js';
import type { RequestId } from '../wire/messages.js';
import type { ConsumerGroups } from './consumer-groups.js';

/** Replaces a client's request if a consumer subscribes by itself, for example in `onConnect`. */
export interface OwnRequest {
  /** The request id of its events. Use a text, because clients' request ids are mostly numbers. */
  readonly requestId: string;
}

/** The part of a consumer's session that the consumer itself uses. */
export interface BoundSession {
  readonly scope: Scope;
  readonly unitOfWork: UnitOfWork;
  readonly settings: Settings;
  readonly logger: Logger;
  /** The address of this consumer. */
  readonly name: string;
  readonly groups: ConsumerGroups;
  /** The permissions of an action, by its name on the wire; those of the consumer if it has no such action. */
  permissionsOf(action: string): PermissionChecker;
  addGroup(group: string): Promise<void>;
  readonly signal: AbortSignal;
  /**
   * Subscribes; the work belongs to the running request, whether its code awaits it or not, as does that of `unsubscribe`.
   *
   * @throws ConfigurationError for a method that observes nothing
   */
  subscribe(method: unknown, kwargs: unknown, context: ActionContext | OwnRequest): Promise<void>;
  unsubscribe(method: unknown, kwargs: unknown, requestId: RequestId | undefined): Promise<void>;
  sendToGroup(group: string, message: ChannelMessage): Promise<void>;
  sendToChannel(channel: string, message: ChannelMessage): Promise<void>;
  sendJson(value: unknown): void;
  sendBinary(data: Uint8Array): void;
  closeSocket(code: number, reason: string): void;
  /** Makes the running request wait for the promise before its reply, whether its code awaits it or not. */
  own<T>(work: Promise<T>): Promise<T>;
}

/** The property that holds the session of a bound consumer. */
export const boundSession: unique symbol = Symbol('signalbox:session');

/** Binds a consumer to its session, once, after the container has built it. */
export function bindConsumer(consumer: ApiConsumer, session: BoundSession): void {
  Object.defineProperty(consumer, boundSession, { value: session });
}

/**
 * The base class of all consumers, with one instance per connection and stream. Clients may call its public methods with `@Action`; a
 * public method with `@ModelObserver` is an observer; everything else is protected or private.
 */
export abstract class ApiConsumer {
  /**
   * The observers that the consumer subscribes to by itself, by their request ids. They give clients the types of events that they receive
   * without a request.
   *
   * ```ts
   * override readonly requestIds = { lobby: 'onMessage' } as const;
   * protected override async onConnect() { await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' }); }
   * ```
   */
  declare readonly requestIds?: Readonly<Record<string, string>>;

  /** @throws ConfigurationError in a constructor, when the consumer has no session yet */
  protected get [boundSession](): BoundSession {
    throw new ConfigurationError({
      class: this.constructor.name,
      reason: 'its constructor uses the connection, which is only set afterwards.',
      remedy: 'Do it in onConnect(), or inject Scope.',
    });
  }

  /** The facts of the connection. */
  protected get scope(): Scope {
    return this[boundSession].scope;
  }

  /**
   * The logged-in user; it is there in every action with `@Permissions(IsAuthenticated)`. A consumer that also serves guests should read
   * `this.scope.user`, which may be undefined.
   *
   * @throws NotAuthenticated while no user is logged in (401)
   * @throws ConfigurationError for an identity whose user no middleware loads
   */
  protected get user(): NonNullable<ScopeUser> {
    const { user, identity } = this.scope;
    if (user !== undefined && user !== null) return user;
    if (!identity) throw new NotAuthenticated();
    throw new ConfigurationError({
      class: this.constructor.name,
      reason: 'needs the user of an identity, but no middleware loads it.',
      remedy: 'Add identityUser(Users) after the middleware that finds the identity, or use this.scope.identity.',
    });
  }

  /** The address of this consumer, for `sendToChannel` in other code. */
  protected get channelName(): string {
    return this[boundSession].name;
  }

  /** The groups that this consumer joined by `addGroup` or `@Groups`; in `onDisconnect`, the groups that it was in. */
  protected get joinedGroups(): readonly string[] {
    return this[boundSession].groups.names;
  }

  /** Aborted when the connection or this stream ends, and when the server closes. */
  protected get signal(): AbortSignal {
    return this[boundSession].signal;
  }

  /**
   * Takes the action's name out of a payload, the rest of which is kwargs. Override it if clients do not send the name as `action`.
   * Undefined is answered with 405; its errors are answered like an action's, with `"action": null`.
   *
   * ```ts
   * protected override getActionName(payload: Record<string, unknown>) {
   *   const { type } = payload;
   *   delete payload['type'];
   *   return type;
   * }
   * ```
   *
   * ```json
   * {"type": "list", "request_id": 1}
   * {"errors": [], "data": [], "action": "list", "response_status": 200, "request_id": 1}
   * ```
   */
  protected getActionName(payload: Record<string, unknown>): unknown {
    return takeAction(payload);
  }

  /** Runs before the first request. If it throws, every request of this stream is answered with that error, and what it subscribed to ends. */
  protected onConnect(): Promise<void> | void {}

  /** Receives the binary frames of a consumer with `@Consumer({ binary: true })`, in line with its requests. */
  protected onBinary(_data: Uint8Array): Promise<void> | void {}

  /**
   * Runs after a request that logged a user in or out in this socket, in line with the other requests. `this.scope.user` is the new user,
   * or the former one if the request failed. Former subscriptions, and groups that `addGroup` joined, have ended.
   */
  protected onUserChange(): Promise<void> | void {}

  /** Runs once after the last request, however the connection or this stream ended. */
  protected onDisconnect(_code: number): Promise<void> | void {}

  /**
   * Subscribes to an observer: after the reply of the current request, committed changes in the groups of these kwargs become events with
   * its request id. Subscribing again with the same request id adds to the same subscription. A request that fails subscribes to nothing.
   *
   * Without a client's request, for example in `onConnect` and `onUserChange`, pass a request id of your own instead of the context: `{
   * requestId: 'lobby' }`. Then the events begin at once, and the consumer's permissions are asked for them with the action `on_connect`
   * and these kwargs.
   *
   * @throws ParseError for a request without a request id (400)
   * @throws Cancelled in the code of a request that is answered already, Revoked if its user has left since
   * @throws Throttled above the limits of subscriptions and groups (429)
   * @throws ConfigurationError for an own request id that is empty, too long, or another observer's in `requestIds`
   */
  protected subscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context: ActionContext | OwnRequest,
  ): Promise<void> {
    return this[boundSession].subscribe(observer, kwargs, context);
  }

  /**
   * Removes the groups of these kwargs from the subscription with the context's request id, as DCRF does. The subscription ends with its
   * last group, or at once without kwargs. Without a context, removes the groups from all subscriptions of this connection. Does nothing if
   * there is no such subscription.
   */
  protected unsubscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context?: ActionContext | OwnRequest,
  ): Promise<void> {
    return this[boundSession].unsubscribe(observer, kwargs, context?.requestId);
  }

  /**
   * Joins a group: its messages reach the `@OnMessage` methods of this consumer. Idempotent; ends with the connection.
   *
   * @throws StreamClosed or Disconnected after the connection or this stream has ended
   * @throws ChannelLayerUnavailable (503) while the channel layer cannot be reached
   */
  protected addGroup(group: string): Promise<void> {
    return this.#own((session) => session.addGroup(group));
  }

  /** Leaves a group. Idempotent; does not affect the groups of subscriptions. */
  protected removeGroup(group: string): Promise<void> {
    return this.#own((session) => session.groups.remove(group));
  }

  /**
   * Sends a message of JSON values to the `@OnMessage` methods of all consumers in a group.
   *
   * @throws ChannelLayerUnavailable (503) while the channel layer cannot be reached; MessageTooLarge
   */
  protected sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    return this[boundSession].sendToGroup(group, message);
  }

  /** Sends a message to the `@OnMessage` methods of one consumer, by its `channelName`. The message is dropped if the consumer is gone. */
  protected sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this[boundSession].sendToChannel(channel, message);
  }

  /**
   * Sends a payload of your own to the client, in the envelope of its stream if it has one. After the end of the connection or stream it is
   * dropped, with a note in the development log.
   */
  protected sendJson(value: unknown): void {
    this[boundSession].sendJson(value);
  }

  /** Sends a binary frame, with the name of its stream if it has one; dropped in the same cases as with `sendJson`. */
  protected sendBinary(data: Uint8Array): void {
    this[boundSession].sendBinary(data);
  }

  /**
   * Closes the socket; behind a demultiplexer only this stream: then the client gets a frame (410), and the other streams stay open. Within
   * a request, it closes after the reply.
   *
   * @throws RangeError for a code that must not be sent (applications may send 1000 and 3000 to 4999), or a reason above 123 bytes
   */
  protected close(code: number = CloseCode.normal, reason = ''): void {
    if (code !== CloseCode.normal && !(code >= 3000 && code <= 4999))
      throw new RangeError(`A close code is 1000, or 3000 to 4999, not ${code}.`);
    checkReason(reason);
    this[boundSession].closeSocket(code, reason);
  }

  /** Runs work that belongs to the running request, whether its code awaits it or not. */
  #own<T>(work: (session: BoundSession) => Promise<T>): Promise<T> {
    const session = this[boundSession];
    return session.own(work(session));
  }
}
