import { type Class, MemberMetadata } from '../metadata.js';
import type { SerializerClass } from '../serializers/serializer.js';

export interface ObserverDeclaration {
  /** A function, because an entity may not be defined yet where its consumer is. */
  readonly model: () => Class;
  readonly serializer?: SerializerClass;
  /** A method that only sends what it is given. Unless it is overridden, nobody needs to call it. */
  readonly passesThrough?: unknown;
}

export const observerDeclarations = new MemberMetadata<ObserverDeclaration>('observer');

/** Member that yields groups -> the observer that it yields them for. */
export const signalGroupDeclarations = new MemberMetadata<string>('groups-for-signal');
export const consumerGroupDeclarations = new MemberMetadata<string>('groups-for-consumer');

/** What a groups method may give. */
export type Groups = Iterable<string> | AsyncIterable<string> | Promise<Iterable<string>>;
