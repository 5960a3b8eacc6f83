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

/** What stands in the place of a client's request where a consumer subscribes by itself, in `onConnect` for example. */
export interface OwnRequest {
  /** The request id of its events. Take a text, because the request ids of clients are numbers, mostly. */
  readonly requestId: string;
}

/** The session of a consumer, as far as the consumer itself asks it for something. */
export interface BoundSession {
  readonly scope: Scope;
  readonly unitOfWork: UnitOfWork;
  readonly settings: Settings;
  readonly logger: Logger;
  /** The address of this consumer. */
  readonly name: string;
  readonly groups: ConsumerGroups;
  /** The permissions of an action, by its name on the wire; those of the consumer where it has no such action. */
  permissionsOf(action: string): PermissionChecker;
  addGroup(group: string): Promise<void>;
  readonly signal: AbortSignal;
  /** Both belong to the request under way, awaited or not. @throws ConfigurationError for a method that observes nothing */
  subscribe(method: unknown, kwargs: unknown, context: ActionContext | OwnRequest): Promise<void>;
  unsubscribe(method: unknown, kwargs: unknown, requestId: RequestId | undefined): Promise<void>;
  sendToGroup(group: string, message: ChannelMessage): Promise<void>;
  sendToChannel(channel: string, message: ChannelMessage): Promise<void>;
  sendJson(value: unknown): void;
  sendBinary(data: Uint8Array): void;
  closeSocket(code: number, reason: string): void;
  /** The request under way waits for the promise before its reply, awaited or not. */
  own<T>(work: Promise<T>): Promise<T>;
}

/** Where a consumer has its session, once it is bound. */
export const boundSession: unique symbol = Symbol('signalbox:session');

/** Binds a consumer to its session; done once, after the container built it. */
export function bindConsumer(consumer: ApiConsumer, session: BoundSession): void {
  Object.defineProperty(consumer, boundSession, { value: session });
}

/**
 * The base of all consumers: one instance per connection and stream. Its public methods with `@Action` are what clients
 * may call; an observer is a public method with `@ModelObserver`; everything else is protected or private.
 */
export abstract class ApiConsumer {
  /**
   * The observers that the consumer subscribes to by itself, by their request ids: for the types of clients, who hear them without asking.
   *
   * ```ts
   * override readonly requestIds = { lobby: 'onMessage' } as const;
   * protected override async onConnect() { await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' }); }
   * ```
   */
  declare readonly requestIds?: Readonly<Record<string, string>>;

  /** @throws ConfigurationError in a constructor, where the consumer has no session yet */
  protected get [boundSession](): BoundSession {
    throw new ConfigurationError({
      class: this.constructor.name,
      reason: 'its constructor uses the connection, which it is given afterwards.',
      remedy: 'Do it in onConnect(), or inject Scope.',
    });
  }

  /** The facts of the connection. */
  protected get scope(): Scope {
    return this[boundSession].scope;
  }

  /**
   * The user who is logged in: there is one in every action behind `@Permissions(IsAuthenticated)`. A consumer that serves guests too
   * asks for `this.scope.user`, which may be undefined.
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
      reason: 'asks for the user of an identity, and no middleware loads it.',
      remedy: 'Add identityUser(Users) behind the middleware that finds the identity, or use this.scope.identity.',
    });
  }

  /** The address of this consumer, for `sendToChannel` from anywhere else. */
  protected get channelName(): string {
    return this[boundSession].name;
  }

  /** The groups that this consumer joined by `addGroup` or `@Groups`; in `onDisconnect`, those that it was in. */
  protected get joinedGroups(): readonly string[] {
    return this[boundSession].groups.names;
  }

  /** Aborted when the connection, or this stream of it, ends, and when the server closes. */
  protected get signal(): AbortSignal {
    return this[boundSession].signal;
  }

  /**
   * Tells which action a payload asks for, where it is not its `action`: takes the name out of the payload, whose rest is
   * kwargs. Undefined is answered 405, and what it throws like what an action throws, with `"action": null`.
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

  /** Runs before the first request; what it throws is answered to every request of this stream. */
  protected onConnect(): Promise<void> | void {}

  /** Takes the binary frames of a consumer with `@Consumer({ binary: true })`, in line with its requests. */
  protected onBinary(_data: Uint8Array): Promise<void> | void {}

  /**
   * Runs after a request that logged a user in or out in this socket, in line with the others: `this.scope.user` is the new one, or
   * the former one where the request failed. What was subscribed to before, and the groups that `addGroup` joined, have ended.
   */
  protected onUserChange(): Promise<void> | void {}

  /** Runs once after the last request, however the connection, or this stream of it, ended. */
  protected onDisconnect(_code: number): Promise<void> | void {}

  /**
   * From the reply of the current request on, committed changes in the groups of these kwargs are events with its request
   * id. Subscribing again with the same request id adds to the same subscription. A request that fails has subscribed to
   * nothing.
   *
   * Where no client asked, in `onConnect` and `onUserChange` for example, a request id of the application's own stands in the place of the
   * context: `{ requestId: 'lobby' }`. The events begin at once; the permissions of the consumer are asked for them, with the action
   * `on_connect` and these kwargs.
   *
   * @throws ParseError for a request without a request id (400)
   * @throws ConfigurationError for a request id of its own that is empty, too long, or another observer's in `requestIds`
   */
  protected subscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context: ActionContext | OwnRequest,
  ): Promise<void> {
    return this[boundSession].subscribe(observer, kwargs, context);
  }

  /**
   * Takes the groups of these kwargs out of the subscription with the request id of the context, as DCRF does, which ends with its last
   * group, and at once where there are no kwargs; without a context, out of all subscriptions of this connection. Ending what is not
   * there is no error.
   */
  protected unsubscribe<Method extends ObserverMethod>(
    observer: Method,
    kwargs: KwargsOfObserver<Method>,
    context?: ActionContext | OwnRequest,
  ): Promise<void> {
    return this[boundSession].unsubscribe(observer, kwargs, context?.requestId);
  }

  /**
   * From now on, messages to this group reach the `@OnMessage` methods of this consumer. Idempotent; ends with the connection.
   *
   * @throws StreamClosed or Disconnected, once the connection or this stream of it has ended
   * @throws ChannelLayerUnavailable (503) while the server of the channel layer is away
   */
  protected addGroup(group: string): Promise<void> {
    return this.#own((session) => session.addGroup(group));
  }

  /** Leaves a group. Idempotent; what subscriptions listen to is not touched. */
  protected removeGroup(group: string): Promise<void> {
    return this.#own((session) => session.groups.remove(group));
  }

  /**
   * Sends a message of JSON values to the `@OnMessage` methods of all consumers in a group.
   *
   * @throws ChannelLayerUnavailable (503) while the server of the channel layer is away; MessageTooLarge
   */
  protected sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    return this[boundSession].sendToGroup(group, message);
  }

  /** Sends a message to the `@OnMessage` methods of one consumer, by its `channelName`. Dropped where it is gone. */
  protected sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this[boundSession].sendToChannel(channel, message);
  }

  /**
   * Sends a frame of the application's own making to the client, in the envelope of its stream where there is one. After the end
   * of the connection or stream it is dropped, with a note in the development log.
   */
  protected sendJson(value: unknown): void {
    this[boundSession].sendJson(value);
  }

  /** Sends a binary frame, which names its stream where there is one, or drops it as `sendJson` does. */
  protected sendBinary(data: Uint8Array): void {
    this[boundSession].sendBinary(data);
  }

  /**
   * Closes the socket; behind a demultiplexer this stream only, and the client gets a frame (410), and the others
   * live. Called within a request, once that has been answered.
   *
   * @throws RangeError for a code that must not be sent (1000 and 3000 to 4999 are an application's own), or a reason above
   * 123 bytes
   */
  protected close(code: number = CloseCode.normal, reason = ''): void {
    if (code !== CloseCode.normal && !(code >= 3000 && code <= 4999))
      throw new RangeError(`A close code is 1000, or 3000 to 4999, not ${code}.`);
    checkReason(reason);
    this[boundSession].closeSocket(code, reason);
  }

  /** Awaited or not, what it does belongs to the request under way. */
  #own<T>(work: (session: BoundSession) => Promise<T>): Promise<T> {
    const session = this[boundSession];
    return session.own(work(session));
  }
}
