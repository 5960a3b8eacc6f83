import type { Class } from '../metadata.js';
import type {
  KwargsOfObserver,
  ModelEvent,
  ObservedBy,
  ObserverMethod,
  Subscription,
} from '../observers/model-event.js';
import {
  consumerGroupDeclarations,
  type Groups,
  groupReadDeclarations,
  observerDeclarations,
  signalGroupDeclarations,
} from '../observers/observer-declaration.js';
import type { Fitting, KeyOf, ViewOf } from '../serializers/model-types.js';
import type { AnySerializer, SerializerClass } from '../serializers/serializer.js';

/** The events that an observer of an entity is given, as its serializer or its body shows them. */
type EventOf<Entity, S, Body> = ModelEvent<Entity, BodyOf<Entity, S, Body>>;
type BodyOf<Entity, S, Body> = [S] extends [never]
  ? [Body] extends [never]
    ? { readonly pk: KeyOf<Entity> }
    : Body
  : ViewOf<S>;

/** A serializer or a body, or neither: the data are then `{ pk }`. */
export interface ModelObserverOptions<Entity extends object, S extends SerializerClass<AnySerializer>, Body> {
  /** Shows the row as the `data` of create and update. Runs once per change and right, outside any connection. */
  readonly serializer?: S & Fitting<Entity, S>;
  /** What is shown of a row that is there. Runs once per change, outside any connection. */
  readonly body?: (row: Entity) => Body | Promise<Body>;
  /** Properties that the body reads although they are `hidden` or `lazy`: these are not in the change log unless an observer names them. */
  readonly reads?: readonly (keyof Entity & string)[];
  /**
   * Whether a client that reads slowly may be sent the last of several changes of a row only. A row whose create was left out
   * is sent as a create, and no delete is left out. Default false.
   */
  readonly latest?: boolean;
}

/** A text where it is none, so that the compiler's complaint says so. */
type RowOf<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : ObservedBy<Consumer[Name]>;

type KwargsOf<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : KwargsOfObserver<Consumer[Name]>;

/**
 * A method that is called for every committed change of a model which concerns one of its subscriptions; it decides what is
 * sent. The serializer runs once per change. Without one, the data are `{ pk }`.
 *
 * ```ts
 * @ModelObserver(() => Message, { serializer: MessageSerializer })
 * async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) { await subscription.send(event); }
 *
 * @Action({ status: 201 })
 * async subscribeToRoom({ room }: RoomKey, context: ActionContext) { await this.subscribe(this.onMessage, { room }, context); }
 * ```
 *
 * ```json
 * {"action": "subscribe_to_room", "request_id": 7, "room": 1}
 * {"errors": [], "data": null, "action": "subscribe_to_room", "response_status": 201, "request_id": 7}
 * {"errors": [], "data": {"id": 9, "text": "hi"}, "action": "create", "response_status": 200, "request_id": 7}
 * ```
 *
 * @param model a function, because entities and consumers may import each other
 */
export function ModelObserver<Entity extends object, S extends SerializerClass<AnySerializer> = never, Body = never>(
  model: () => Class<Entity>,
  { serializer, body, reads, latest }: ModelObserverOptions<Entity, S, Body> = {},
) {
  return <Observer extends (event: EventOf<Entity, S, Body>, subscription: Subscription<never>) => unknown>(
    prototype: object,
    member: string,
    _descriptor: TypedPropertyDescriptor<Observer>,
  ): void => {
    observerDeclarations.write(prototype, member, {
      model: model as () => Class,
      ...(serializer && { serializer }),
      ...(body && { body }),
      ...(reads && { reads }),
      ...(latest && { latest }),
    });
  };
}

export interface GroupsOptions {
  /**
   * Properties that the method reads although they are `hidden` or `lazy`. Others of that kind are not in the change log, and are
   * undefined here.
   */
  readonly reads?: readonly string[];
}

/**
 * The groups that a row belongs to, asked for before and after each change. A row that leaves a group is a delete for it, a
 * row that comes into one a create. Runs once per change and process, outside any connection: `this` has no injected members.
 *
 * ```ts
 * @GroupsForSignal('onMessage') protected *groupsOfMessage(message: Message) { yield `room-${message.room.id}`; }
 * ```
 *
 * @throws ConfigurationError when the application is created, for `reads` that are no property of the entity
 */
export function GroupsForSignal<Name extends string>(observer: Name, { reads }: GroupsOptions = {}) {
  return <Consumer extends { [Key in Name]: ObserverMethod }, Yields extends (row: RowOf<Consumer, Name>) => Groups>(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Yields>,
  ): void => {
    signalGroupDeclarations.write(prototype, member, observer);
    if (reads) groupReadDeclarations.write(prototype, member, reads);
  };
}

/**
 * The groups that a subscription listens to, from the kwargs that `subscribe` was called with.
 *
 * ```ts
 * @GroupsForConsumer('onMessage') protected *groupsOfRoom({ room }: RoomKey) { yield `room-${room}`; }
 * ```
 */
export function GroupsForConsumer<Name extends string>(observer: Name) {
  return <
    Consumer extends { [Key in Name]: ObserverMethod },
    Yields extends (kwargs: KwargsOf<Consumer, Name>) => Groups,
  >(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Yields>,
  ): void => consumerGroupDeclarations.write(prototype, member, observer);
}

/**
 * The groups of both sides, where rows and subscriptions name them by the same properties.
 *
 * ```ts
 * @GroupsForBoth('onThing') protected *groupsOfShelf({ shelf }: Thing | ShelfKey) { yield `shelf-${shelf}`; }
 * ```
 */
export function GroupsForBoth<Name extends string>(observer: Name) {
  return <
    Consumer extends { [Key in Name]: ObserverMethod },
    Yields extends (subject: RowOf<Consumer, Name> | KwargsOf<Consumer, Name>) => Groups,
  >(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Yields>,
  ): void => {
    signalGroupDeclarations.write(prototype, member, observer);
    consumerGroupDeclarations.write(prototype, member, observer);
  };
}
