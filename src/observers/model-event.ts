import type { Scope } from '../scope/scope.js';
import type { EntityOf, KeyOf, SerializerLike, ViewOf } from '../serializers/model-types.js';
import type { RequestId } from '../wire/messages.js';

/** Carries types only; no value is ever there. */
export declare const eventTypes: unique symbol;

interface EventTypes<Entity> {
  readonly [eventTypes]: Entity;
}

type ObservedEntity<Model> = Model extends SerializerLike ? EntityOf<Model> : Model;

/** A row came into the groups of a subscription, or changed in them. */
export interface ModelWritten<Entity, View> extends EventTypes<Entity> {
  /** `create` where the row came into the groups, `update` where it was in them before. */
  readonly action: 'create' | 'update';
  /** The key of the row. */
  readonly pk: KeyOf<Entity>;
  /** Frozen, because all receivers share it: send a copy where something else is to be sent. */
  readonly data: View;
}

/** A row was deleted, or left the groups of a subscription. Only its key is sent. */
export interface ModelDeleted<Entity> extends EventTypes<Entity> {
  /** Also for a row that still exists and has left the groups. */
  readonly action: 'delete';
  /** The key that the row had. */
  readonly pk: KeyOf<Entity>;
  /** The `data` of the frame. */
  readonly data: { readonly pk: KeyOf<Entity> };
}

/**
 * What a committed change means to one subscription.
 *
 * `ModelEvent<MessageSerializer>` has the data that this serializer shows; `ModelEvent<Message>` leaves them unknown.
 */
export type ModelEvent<Model, View = Model extends SerializerLike ? ViewOf<Model> : unknown> =
  | ModelWritten<ObservedEntity<Model>, View>
  | ModelDeleted<ObservedEntity<Model>>;

/** A signal was sent. */
export interface SignalEvent<Payload, Body = Payload> extends EventTypes<Payload> {
  /** The `action` of the frame: the observer's name in snake_case, unless it was given another. */
  readonly signal: string;
  /** Frozen, because all receivers share it. */
  readonly data: Body;
}

/** As much of a signal's event as is sent. */
export interface SentSignal {
  /** The `action` of the frame. */
  readonly signal: string;
  /** The `data` of the frame: anything that JSON can show. */
  readonly data: unknown;
}

export type EventAction = 'create' | 'update' | 'delete';

/** As much of an event as is sent. */
export interface SentEvent {
  /** The `action` of the frame; it decides the status too: 204 for `delete`, else 200. */
  readonly action: EventAction;
  /** The `data` of the frame: anything that JSON can show. */
  readonly data: unknown;
}

/** One request of one connection to hear of changes. */
export interface Subscription<Kwargs = unknown> {
  /** That of the request that subscribed; every event carries it. */
  readonly requestId: RequestId;
  /** What `subscribe` was given beside the observer. */
  readonly kwargs: Kwargs;
  /** The connection of the client. */
  readonly scope: Scope;
  /**
   * Sends `{"errors": [], "data": {…}, "action": "create", "response_status": 200, "request_id": 1}`; the status of a
   * delete is 204.
   */
  send(event: SentEvent | SentSignal): Promise<void>;
}

/** A method that observes: its first parameter is a `ModelEvent` or a `SignalEvent`. */
export type ObserverMethod = (event: never, subscription: Subscription<never>) => unknown;

/** The entity of an observer's events; never where the method observes nothing. */
export type ObservedBy<Method> = Method extends (event: infer Event, ...rest: never) => unknown
  ? Event extends EventTypes<infer Entity>
    ? Entity
    : never
  : never;

/** What may be subscribed with; never where the method observes nothing. */
export type KwargsOfObserver<Method> = [ObservedBy<Method>] extends [never]
  ? never
  : Method extends (event: never, subscription: Subscription<infer Kwargs>) => unknown
    ? Kwargs
    : never;
