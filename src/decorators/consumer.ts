import { injectable } from 'tsyringe';
import { checkApplicationGroup } from '../channel-layer/channel-layer.js';
import { permissionDeclarations } from '../dispatch/actions.js';
import { type Class, ClassMetadata, type ConcreteClass, MemberMetadata } from '../metadata.js';
import type { PermissionExpression } from '../permissions/permission.js';

/** Options of `@Consumer`. */
export interface ConsumerOptions {
  /** Hands binary frames to `onBinary`. Default false: they close the socket with 1003. */
  readonly binary?: boolean;
  /**
   * Whether a consumer behind a demultiplexer is built, and its `onConnect` runs, when the connection opens, and not at the first frame of
   * its stream. For consumers that send by themselves. Default false; on a route of its own a consumer is always built at once.
   */
  readonly eager?: boolean;
  /**
   * The subprotocols that it speaks, the preferred one first; `scope.subprotocol` says which was agreed on. A client that
   * offers others only is refused (400), one that offers none is served without. Default: whatever the client prefers.
   */
  readonly subprotocols?: readonly string[];
}

/** What `@Consumer` wrote on a class; without it the container would hand its constructor nothing. */
export const consumerDeclarations = new ClassMetadata<ConsumerOptions>('consumer');

/** What `@Groups` wrote on a class. */
export const groupDeclarations = new ClassMetadata<readonly string[]>('groups');

/**
 * Makes a class that extends `ApiConsumer` one that a route may name. The container resolves it, constructor parameters
 * and all, once per connection and stream.
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
 * Who may connect to a consumer and call its actions; several expressions have to be satisfied all. A subclass that bears
 * the decorator replaces what it would inherit.
 *
 * ```ts
 * @Permissions(all(IsAuthenticated, not(IsBanned)))
 * ```
 */
export function Permissions(...expressions: PermissionExpression[]) {
  return (consumer: Class): void => permissionDeclarations.write(consumer, expressions);
}

/**
 * The groups that every connection to a consumer joins before `onConnect` and leaves at its end. A subclass that bears the
 * decorator replaces what it would inherit.
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

/** A text where the method takes messages of another type, so that the compiler's complaint says so. */
type Taking<Type extends string, Method> =
  MessageOf<Method> extends { readonly type: infer Taken }
    ? Type extends Taken
      ? unknown
      : `its message has another type than ${Type}`
    : unknown;

/**
 * A method that takes messages of one type, sent to a group of this consumer or to its channel from anywhere in the
 * application, never by a client. Messages come one at a time, in line with the requests of the consumer. What it throws is
 * logged, and so is a message of a type that the consumer does not know.
 *
 * ```ts
 * interface Shout { readonly type: 'shout'; readonly text: string }
 *
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
