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

/** Options of `@Observer(signal, options)`. */
export interface ObserverOptions<Payload, Body> {
  /** What the payload is shown as. Default: itself, as JSON. Runs once per signal, outside any connection. */
  readonly body?: (payload: Payload) => Body | Promise<Body>;
  /** Which payloads are sent as events. Default: every one. */
  readonly when?: (payload: Payload) => boolean;
  /** The `action` of its frames. Default: the method's name in snake_case. */
  readonly name?: string;
  /** Whether the event is sent at once, although the transaction around the sender may still roll back. Default false: after its commit. */
  readonly atOnce?: boolean;
}

/**
 * A method that is called for every signal that concerns one of its subscriptions; groups are declared as for
 * `@ModelObserver`. For a signal that is sent inside a transaction it is called after the commit, and not at all after a
 * rollback.
 *
 * ```ts
 * export const joined = new Signal<{ room: number; user: string }>();
 *
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

/** A text where it is none, so that the compiler's complaint says so. */
type Observing<Consumer, Name extends keyof Consumer & string> = [ObservedBy<Consumer[Name]>] extends [never]
  ? `${Name} is no observer`
  : ObserverMethod;

/**
 * Says what the permission to follow an observer depends on. When such a row is created, changed or deleted, or the signal is
 * sent, the subscriptions in the groups that the method yields are asked again for what granted them: the permissions to
 * connect, those of the action that subscribed with its kwargs, and those of its object: a row that is not there any
 * more for a detail action has ended what was subscribed by its name.
 * One that is refused has ended. Its client is sent one error (403 `revoked`), and no event of that commit or a later one.
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
 * Runs once per change, before and after it, outside any connection. What the permissions said holds until then, for the setting
 * `grantTimeLimit` at the longest; the first event afterwards asks again. Where no permission could be asked, for the right
 * is checked in the code of an action, the consumer is refused at start-up.
 *
 * @param by a function, because entities and consumers may import each other; or a signal
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
