import { MemberMetadata } from '../metadata.js';

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
