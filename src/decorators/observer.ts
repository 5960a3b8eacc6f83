import type { Class } from '../metadata.js';
import type {
  KwargsOfObserver,
  ModelEvent,
  ObservedBy,
  ObserverMethod,
  SignalEvent,
  Subscription,
} from '../observers/model-event.js';
import {
  consumerGroupDeclarations,
  type Groups,
  groupReadDeclarations,
  observerDeclarations,
  signalGroupDeclarations,
} from '../observers/observer-declaration.js';
import { revocationDeclarations } from '../observers/revocation.js';
import type { Fitting, KeyOf, ViewOf } from '../serializers/model-types.js';
import type { AnySerializer, SerializerClass } from '../serializers/serializer.js';
import { Signal } from '../signals/signal.js';
import { toWireName } from '../wire/messages.js';

/** The events that an observer of an entity receives, with the data of its serializer or body. */
type EventOf<Entity, S, Body> = ModelEvent<Entity, BodyOf<Entity, S, Body>>;
type BodyOf<Entity, S, Body> = [S] extends [never]
  ? [Body] extends [never]
    ? { readonly pk: KeyOf<Entity> }
    : Body
  : ViewOf<S>;

/** Options of `@ModelObserver`: a serializer or a body. Without either, the data are `{ pk }`. */
export interface ModelObserverOptions<Entity extends object, S extends SerializerClass<AnySerializer>, Body> {
  /** Shows the row as the `data` of create and update events. Runs once per change and combination of rights, outside any connection. */
  readonly serializer?: S & Fitting<Entity, S>;
  /** Makes the `data` of create and update events. Runs once per change, outside any connection. */
  readonly body?: (row: Entity) => Body | Promise<Body>;
  /** `hidden` or `lazy` properties that the body reads: the change log contains them only if an observer names them. */
  readonly reads?: readonly (keyof Entity & string)[];
  /**
   * Whether a client that reads slowly may receive only the last of several changes of a row. A row whose create was left out is sent as a
   * create; deletes are always sent. Default: false.
   */
  readonly latest?: boolean;
}

/** The entity of an observer; a text if the method is none, which the compiler's message then shows. */
type RowOf<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : ObservedBy<Consumer[Name]>;

type KwargsOf<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : KwargsOfObserver<Consumer[Name]>;

/**
 * Makes a method an observer: it is called for every committed change of a model that concerns one of its subscriptions, and decides what
 * is sent. The serializer runs once per change. Without one, the data are `{ pk }`.
 *
 * ```ts
 * @ModelObserver(() => Message, { serializer: MessageSerializer })
 * async onMessage(event: ModelEvent<MessageSerializer>, subscription: Subscription<RoomKey>) { await subscription.send(event); }
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
   * `hidden` or `lazy` properties that the method reads. Without naming them here, the change log does not contain them, and they are
   * undefined.
   */
  readonly reads?: readonly string[];
}

/**
 * Declares the groups that a row belongs to; called for the row before and after each change. A row that leaves a group is a delete for it,
 * a row that enters one a create. Runs once per change and process, outside any connection: `this` has no injected members.
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
 * Declares the groups that a subscription listens to, from the kwargs of `subscribe`.
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
 * Declares the groups of rows and of subscriptions by one method, if both name them by the same properties.
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

/** Options of `@Observer(signal, options)`. */
export interface ObserverOptions<Payload, Body> {
  /** Makes the event's data from the payload. Default: the payload itself, as JSON. Runs once per signal, outside any connection. */
  readonly body?: (payload: Payload) => Body | Promise<Body>;
  /** Whether a payload is sent as an event. Default: always. */
  readonly when?: (payload: Payload) => boolean;
  /** The `action` of its frames. Default: the method's name in snake_case. */
  readonly name?: string;
  /**
   * Whether the event is sent at once, although the sender's transaction may still roll back. Default: false; it is sent after the commit.
   */
  readonly atOnce?: boolean;
}

/**
 * Makes a method an observer of a signal: it is called for every signal that concerns one of its subscriptions; groups are declared as for
 * `@ModelObserver`. If the signal was sent inside a transaction, the method is called after the commit, and not at all after a rollback.
 *
 * ```ts
 * export const joined = new Signal<{ room: number; user: string }>();
 * @Observer(joined)
 * async onJoined(event: SignalEvent<{ room: number; user: string }>, subscription: Subscription<RoomKey>) { await subscription.send(event); }
 * ```
 *
 * ```json
 * {"action": "enter", "request_id": 7, "room": 1}
 * {"errors": [], "data": null, "action": "enter", "response_status": 201, "request_id": 7}
 * {"errors": [], "data": {"room": 1, "user": "ann"}, "action": "on_joined", "response_status": 200, "request_id": 7}
 * ```
 */
export function Observer<Payload, Body = Payload>(
  signal: Signal<Payload>,
  { body, when, name, atOnce = false }: ObserverOptions<Payload, Body> = {},
) {
  return <Method extends (event: SignalEvent<Payload, Body>, subscription: Subscription<never>) => unknown>(
    prototype: object,
    member: string,
    _descriptor: TypedPropertyDescriptor<Method>,
  ): void =>
    observerDeclarations.write(prototype, member, {
      signal: {
        signal: signal as unknown as Signal<never>,
        name: name ?? toWireName(member),
        atOnce,
        when: (payload) => when?.(payload as Payload) ?? true,
      },
      ...(body && { body }),
    });
}

/** A text if the method is no observer, which the compiler's message then shows. */
type Observing<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : ObserverMethod;

/**
 * Declares what the permission to follow an observer depends on. When such a row is created, changed or deleted, or the signal is sent, the
 * subscriptions in the groups that the method yields are rechecked: by the connect permissions, by the permissions of the subscribing
 * action with its kwargs, and by those of its object. If the object of a detail action no longer exists, its subscriptions end.
 *
 * A refused subscription ends. Its client receives one error (403 `revoked`), and no event of that commit or a later one.
 *
 * ```ts
 * @RevokedBy('onMessage', () => Membership) protected *roomOfMembership({ room }: Membership) { yield `room-${room.id}`; }
 * @RevokedBy('onMessage', kicked)           protected *roomOfKick({ room }: Kick) { yield `room-${room}`; }
 * ```
 *
 * ```json
 * {"errors": ["You may no longer follow this."], "data": null, "action": "revoked", "response_status": 403, "request_id": 7, "code": "revoked"}
 * ```
 *
 * The method runs once per change, for the row before and after it, outside any connection. The permissions' answers stay valid until then,
 * at most for the setting `grantTimeLimit`; the first event after that asks them again. If the right is only checked in the code of an
 * action, no permission can be asked again, and start-up refuses the consumer.
 *
 * @param by a function that returns the model, because entities and consumers may import each other; or a signal
 */
export function RevokedBy<Name extends string, Changed extends object>(
  observer: Name,
  by: (() => Class<Changed>) | Signal<Changed>,
) {
  return <Consumer extends { [Key in Name]: Observing<Consumer, Name> }, Yields extends (changed: Changed) => Groups>(
    prototype: Consumer,
    member: string,
    _descriptor: TypedPropertyDescriptor<Yields>,
  ): void => {
    const owner = prototype.constructor as Class;
    const others = revocationDeclarations.isOn(owner, member) ? revocationDeclarations.read(owner).get(member) : [];
    const on = by instanceof Signal ? { signal: by as unknown as Signal<never> } : { model: by as () => Class };
    revocationDeclarations.write(prototype, member, [...(others ?? []), { observer, ...on }]);
  };
}
