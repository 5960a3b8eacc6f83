import { injectable } from 'tsyringe';
import { checkApplicationGroup } from '../channel-layer/channel-layer.js';
import { permissionDeclarations } from '../dispatch/actions.js';
import { type Class, ClassMetadata, type ConcreteClass, MemberMetadata } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';

/** Options of `@Consumer`. */
export interface ConsumerOptions {
  /** Whether binary frames go to `onBinary`. Default: false; they close the socket with 1003. */
  readonly binary?: boolean;
  /**
   * Whether a consumer behind a demultiplexer is made, and its `onConnect` called, when the connection opens, instead of at its stream's
   * first frame. Use it for consumers that send on their own. Default: false. On a route without streams the consumer is always made at
   * once.
   */
  readonly eager?: boolean;
  /**
   * The subprotocols that the consumer speaks, the preferred one first; `scope.subprotocol` is the negotiated one. A client that offers
   * only others is refused with 400; a client that offers none is served without. Default: the client's preferred one.
   */
  readonly subprotocols?: readonly string[];
}

/** The options that `@Consumer` wrote on a class. Without the decorator, the container would pass nothing to the constructor. */
export const consumerDeclarations = new ClassMetadata<ConsumerOptions>('consumer');

/** The groups that `@Groups` wrote on a class. */
export const groupDeclarations = new ClassMetadata<readonly string[]>('groups');

/**
 * Declares a consumer: a class that extends `ApiConsumer` and that a route may name. The container makes an instance, with its
 * constructor's dependencies, once per connection and stream.
 *
 * ```ts
 * @Consumer()
 * class RoomConsumer extends ApiConsumer {
 *   constructor(private readonly em: EntityManager) { super(); }
 * }
 * createApp({ orm, container, routes: [path('/ws/rooms/', RoomConsumer)] });
 * ```
 */
export function Consumer(options: ConsumerOptions = {}) {
  return (consumer: ConcreteClass): void => {
    injectable()(consumer);
    consumerDeclarations.write(consumer, options);
  };
}

/**
 * Declares which permissions a client needs to connect to a consumer and to call its actions: all of the given expressions. In a subclass,
 * the decorator replaces the inherited one.
 *
 * ```ts
 * @Permissions(all(IsAuthenticated, not(IsBanned)))
 * ```
 */
export function Permissions(...expressions: PermissionExpression[]) {
  return (consumer: Class): void => permissionDeclarations.write(consumer, expressions);
}

/**
 * Declares the groups that every connection of a consumer joins before `onConnect` and leaves at its end. In a subclass, the decorator
 * replaces the inherited one.
 *
 * ```ts
 * @Consumer()
 * @Groups('lobby')
 * class LobbyConsumer extends ApiConsumer {
 *   @OnMessage('shout') protected onShout({ text }: { readonly text: string }) { this.sendJson({ shouted: text }); }
 * }
 * await app.sendToGroup('lobby', { type: 'shout', text: 'hi' });
 * ```
 *
 * ```json
 * {"shouted": "hi"}
 * ```
 */
export function Groups(...names: string[]) {
  for (const name of names) checkApplicationGroup(name);
  return (consumer: Class): void => groupDeclarations.write(consumer, names);
}

/** The type of message that a method takes. */
export const messageDeclarations = new MemberMetadata<string>('message');

type MessageOf<Method> = Method extends (message: infer Message) => unknown ? Message : never;

/** A text if the method takes messages of another type, which the compiler's message then shows. */
type Taking<Type extends string, Method> =
  MessageOf<Method> extends { readonly type: infer Taken }
    ? Type extends Taken
      ? unknown
      : `its message has another type than ${Type}`
    : unknown;

/**
 * Makes a method receive messages of one type, which any code of the application sends to a group of this consumer or to its channel;
 * clients cannot send them. Messages come one at a time, in line with the requests of the consumer. Errors of the method are logged, and so
 * are messages of an unknown type.
 *
 * ```ts
 * interface Shout { readonly type: 'shout'; readonly text: string }
 * @OnMessage('shout') protected onShout({ text }: Shout) { this.sendJson({ shouted: text }); }
 * ```
 *
 * ```ts
 * await app.sendToGroup('lobby', { type: 'shout', text: 'hi' });
 * ```
 *
 * ```json
 * {"shouted": "hi"}
 * ```
 */
export function OnMessage<const Type extends string>(type: Type) {
  return <Method extends (message: never) => unknown>(
    prototype: object,
    member: string,
    _descriptor: TypedPropertyDescriptor<Method> & Taking<Type, Method>,
  ): void => messageDeclarations.write(prototype, member, type);
}
