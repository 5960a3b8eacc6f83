import type { ModelChange } from '../log/entry.js';
import { type Class, MemberMetadata } from '../metadata.js';
import type { LoggedRow } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import type { ActionContext } from '../scope/action-context.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { Signal } from '../signals/signal.js';
import type { EventAction, SentEvent } from './model-event.js';

/** The signal of an observer that observes no model. */
export interface ObservedSignal {
  readonly signal: Signal<never>;
  /** The `action` of its events' frames. */
  readonly name: string;
  /** Whether events are sent at once, although the sender's transaction may still roll back. */
  readonly atOnce: boolean;
  when(payload: unknown): boolean;
}

export interface ObserverDeclaration {
  /** A function, because the entity may be defined after its consumer. */
  readonly model?: () => Class;
  readonly signal?: ObservedSignal;
  readonly serializer?: SerializerClass;
  /** Makes the data of an event from the row or payload, instead of a serializer. */
  readonly body?: (subject: never) => unknown;
  /** The hidden and lazy properties of a row that the body reads. */
  readonly reads?: readonly string[];
  /** Whether a slow client may receive only the last of several changes of a row. */
  readonly latest?: boolean;
  /** A groups method that reads nothing but the key, so that it yields the same groups before and after every change. */
  readonly groupsByKey?: { readonly method: unknown; groupsOf(key: unknown): readonly string[] };
  /**
   * Whether a subscription with these kwargs asks for a row. It replaces the groups of the row: each group of a subscription stands for
   * what the client asked for, and is checked once for each change.
   */
  readonly lets?: (consumer: Class, kwargs: unknown, row: LoggedRow) => boolean;
  /** Whether the row before a change is needed even if its groups do not depend on it. */
  readonly needsBefore?: boolean;
  /** The only kind of event that is sent. */
  readonly only?: EventAction;
  /** A method that only sends its event. Unless it is overridden, it need not be called. */
  readonly passesThrough?: unknown;
  /** Which rows the connections of a consumer class may see. Default: all rows. */
  readonly visibility?: (consumer: Class) => Visibility;
}

/** Which rows the connections of a consumer class may see. */
export interface Visibility {
  /** Whether the consumer's query may hide some rows, whatever permissions say. */
  readonly isNarrowed: boolean;
  /** Whether every event has to be checked, not only if a permission judges objects or the ORM filters rows. */
  readonly isAlwaysChecked: boolean;
  /** Whether a default filter of the ORM may hide rows from this consumer. */
  isFiltered(consumer: object): boolean;
  visibleEvent(consumer: object, event: ObservedEvent, viewer: Viewer): Promise<VisibleEvent>;
  /** The row that was subscribed with these kwargs: undefined if it is gone, `hidden` if the consumer's query does not return it. */
  rowOf(consumer: object, kwargs: unknown, context: ActionContext): Promise<object | 'hidden' | undefined>;
}

/** A subscription, with what decides on the rows that it may see. */
export interface Viewer {
  /** The subscription: the same object for each of its events. */
  readonly subscription: object;
  /** The context of the request that subscribed, not of the event. */
  readonly context: ActionContext;
  /** The change, for an observer that needs the row before it. */
  readonly change?: ModelChange;
  /** The serializer that made the event's data. */
  readonly serializer?: SerializerClass;
  /** Whether a permission judges the row. */
  readonly isJudged: boolean;
  /** The current rights of the client. Called after the row was read. */
  rights(): Promise<GivenRights | undefined>;
  /** Asks the permissions for the row. */
  maySee(row: object): Promise<boolean>;
}

/** What a subscription receives of an event: the event, another event or none. */
export interface VisibleEvent {
  readonly event?: ObservedEvent;
  /** Whether a permission refused the row. */
  readonly isRefused: boolean;
  /** Called when the event was let through, because the next one depends on it. */
  note(): void;
}

/** An event before it is sent. */
export interface ObservedEvent extends SentEvent {
  readonly pk: unknown;
}

export const observerDeclarations = new MemberMetadata<ObserverDeclaration>('observer');

/** Member that yields groups -> the observer that it yields them for. */
export const signalGroupDeclarations = new MemberMetadata<string>('groups-for-signal');

/** Member that yields groups -> the hidden and lazy properties of a row that it reads. */
export const groupReadDeclarations = new MemberMetadata<readonly string[]>('groups-read');
export const consumerGroupDeclarations = new MemberMetadata<string>('groups-for-consumer');

/** The values that a groups method may return. */
export type Groups = Iterable<string> | AsyncIterable<string> | Promise<Iterable<string>>;
