import { type Class, MemberMetadata } from '../metadata.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { Signal } from '../signals/signal.js';
import type { SentEvent } from './model-event.js';

/** What an observer listens to where it is no model. */
export interface ObservedSignal {
  readonly signal: Signal<never>;
  /** What events are called on the wire. */
  readonly name: string;
  /** Whether it is told although the transaction around the sender may still roll back. */
  readonly atOnce: boolean;
  when(payload: unknown): boolean;
}

export interface ObserverDeclaration {
  /** A function, because an entity may not be defined yet where its consumer is. */
  readonly model?: () => Class;
  readonly signal?: ObservedSignal;
  readonly serializer?: SerializerClass;
  /** What a row or payload is shown as, instead of a serializer. */
  readonly body?: (subject: never) => unknown;
  /** Whether a slow client may be told of the last of several changes of a row only. */
  readonly latest?: boolean;
  /** A groups method that yields nothing but the key: it is the same before and after every change. */
  readonly groupsByKey?: unknown;
  /** A method that only sends what it is given. Unless it is overridden, nobody needs to call it. */
  readonly passesThrough?: unknown;
  /** What connections of a consumer class may see of the rows; undefined where they see all of them. */
  readonly visibility?: (consumer: Class) => Visibility | undefined;
}

/** What an event is to one subscription, given which rows its connection may see: perhaps another event, or none. */
export type Visibility = (
  consumer: object,
  event: ObservedEvent,
  subscription: object,
) => Promise<ObservedEvent | undefined>;

/** An event before it is sent. */
export interface ObservedEvent extends SentEvent {
  readonly pk: unknown;
}

export const observerDeclarations = new MemberMetadata<ObserverDeclaration>('observer');

/** Member that yields groups -> the observer that it yields them for. */
export const signalGroupDeclarations = new MemberMetadata<string>('groups-for-signal');
export const consumerGroupDeclarations = new MemberMetadata<string>('groups-for-consumer');

/** What a groups method may give. */
export type Groups = Iterable<string> | AsyncIterable<string> | Promise<Iterable<string>>;
