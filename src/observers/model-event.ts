import type { Scope } from '../scope/scope.js';
import type { EntityOf, KeyOf, SerializerLike, ViewOf } from '../serializers/model-types.js';
import type { RequestId } from '../wire/messages.js';

/** Carries types only; it never has a value. */
export declare const eventTypes: unique symbol;

interface EventTypes<Entity> {
  readonly [eventTypes]: Entity;
}

type ObservedEntity<Model> = Model extends SerializerLike ? EntityOf<Model> : Model;

/** The event of a row that came into the groups of a subscription, or changed within them. */
export interface ModelWritten<Entity, View> extends EventTypes<Entity> {
  /** `create` if the row came into the groups, `update` if it was in them before. */
  readonly action: 'create' | 'update';
  /** The key of the row. */
  readonly pk: KeyOf<Entity>;
  /** The row as the serializer shows it. Frozen, because all receivers share it: to send something else, send a copy. */
  readonly data: View;
}

/** The event of a row that was deleted, or left the groups of a subscription. Only its key is sent. */
export interface ModelDeleted<Entity> extends EventTypes<Entity> {
  /** `delete`, also for a row that still exists and has left the groups. */
  readonly action: 'delete';
  /** The key that the row had. */
  readonly pk: KeyOf<Entity>;
  /** The `data` of the frame. */
  readonly data: { readonly pk: KeyOf<Entity> };
}

/**
 * What a committed change means to one subscription. `ModelEvent<MessageSerializer>` has the data that this serializer shows; in
 * `ModelEvent<Message>` their type is unknown.
 */
export type ModelEvent<Model, View = Model extends SerializerLike ? ViewOf<Model> : unknown> =
  | ModelWritten<ObservedEntity<Model>, View>
  | ModelDeleted<ObservedEntity<Model>>;

/** The event of a signal that was sent. */
export interface SignalEvent<Payload, Body = Payload> extends EventTypes<Payload> {
  /** The `action` of the frame: the observer's name in snake_case, unless the observer declares another. */
  readonly signal: string;
  /** The payload, or what the observer's body makes of it. Frozen, because all receivers share it. */
  readonly data: Body;
}

/** The part of a signal's event that is sent. */
export interface SentSignal {
  /** The `action` of the frame. */
  readonly signal: string;
  /** The `data` of the frame: any value that JSON can show. */
  readonly data: unknown;
}

export type EventAction = 'create' | 'update' | 'delete';

/** The part of a model's event that is sent. */
export interface SentEvent {
  /** The `action` of the frame. It determines the status too: 204 for `delete`, otherwise 200. */
  readonly action: EventAction;
  /** The `data` of the frame: any value that JSON can show. */
  readonly data: unknown;
}

/** One request of one connection that subscribed to events. */
export interface Subscription<Kwargs = unknown> {
  /** The id of the request that subscribed; every event carries it. */
  readonly requestId: RequestId;
  /** The kwargs that `subscribe` was called with. */
  readonly kwargs: Kwargs;
  /** The scope of the client's connection. */
  readonly scope: Scope;
  /**
   * Sends `{"errors": [], "data": {…}, "action": "create", "response_status": 200, "request_id": 1}`; the status of a
   * delete is 204.
   */
  send(event: SentEvent | SentSignal): Promise<void>;
}

/** A method that observes: its first parameter is a `ModelEvent` or a `SignalEvent`. */
export type ObserverMethod = (event: never, subscription: Subscription<never>) => unknown;

/** The entity of an observer's events; never if the method observes nothing. */
export type ObservedBy<Method> = Method extends (event: infer Event, ...rest: never) => unknown
  ? Event extends EventTypes<infer Entity>
    ? Entity
    : never
  : never;

/** The kwargs of subscriptions to an observer; never if the method observes nothing. */
export type KwargsOfObserver<Method> = [ObservedBy<Method>] extends [never]
  ? never
  : Method extends (event: never, subscription: Subscription<infer Kwargs>) => unknown
    ? Kwargs
    : never;
