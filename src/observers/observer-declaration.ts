import type { ModelChange } from '../log/entry.js';
import { type Class, MemberMetadata } from '../metadata.js';
import type { LoggedRow } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import type { ActionContext } from '../scope/action-context.js';
import type { SerializerClass } from '../serializers/serializer.js';
import type { Signal } from '../signals/signal.js';
import type { EventAction, SentEvent } from './model-event.js';

/** What an observer listens to where it is no model. */
export interface ObservedSignal {
  readonly signal: Signal<never>;
  /** What events are called on the wire. */
  readonly name: string;
  /** Whether its events are sent although the transaction around the sender may still roll back. */
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
  /** The hidden and lazy properties of a row that the body reads. */
  readonly reads?: readonly string[];
  /** Whether a slow client may be sent the last of several changes of a row only. */
  readonly latest?: boolean;
  /** A groups method that looks at nothing but the key: it yields the same before and after every change. */
  readonly groupsByKey?: { readonly method: unknown; groupsOf(key: unknown): readonly string[] };
  /**
   * Whether a row is one of those that a subscription with these kwargs asks for. It stands in the place of groups of the row: each group
   * of a subscription is what the client asked for, and is judged once for each change.
   */
  readonly lets?: (consumer: Class, kwargs: unknown, row: LoggedRow) => boolean;
  /** Whether the row before a change is needed, also where its groups do not depend on it. */
  readonly needsBefore?: boolean;
  /** The only kind of event that is sent. */
  readonly only?: EventAction;
  /** A method that only sends what it is given. Unless it is overridden, it need not be called. */
  readonly passesThrough?: unknown;
  /** Which rows connections of a consumer class may see. Default all of them. */
  readonly visibility?: (consumer: Class) => Visibility;
}

/** Which rows the connections of a consumer class may see. */
export interface Visibility {
  /** Whether some rows may be out of sight, whatever permissions say. */
  readonly isNarrowed: boolean;
  /** Whether every event has to be looked at, and not only where a permission has an opinion on objects, or the ORM filters rows. */
  readonly isLookedAt: boolean;
  /** Whether a default filter of the ORM may leave rows out of what this consumer reads. */
  isFiltered(consumer: object): boolean;
  look(consumer: object, event: ObservedEvent, viewer: Viewer): Promise<Sight>;
  /** The row that was subscribed with these kwargs: undefined if it is gone, `hidden` if the consumer's query does not show it. */
  rowOf(consumer: object, kwargs: unknown, context: ActionContext): Promise<object | 'hidden' | undefined>;
}

/** One subscription, as far as it matters to what it may see. */
export interface Viewer {
  /** The same object for every event of the subscription. */
  readonly subscription: object;
  /** The request that subscribed, and not the event. */
  readonly context: ActionContext;
  /** Of an observer that needs the row before a change. */
  readonly change?: ModelChange;
  /** What the data of the event were made with. */
  readonly serializer?: SerializerClass;
  /** Whether a permission has an opinion on the row. */
  readonly isJudged: boolean;
  /** What it may be shown now. Asked once the row is read. */
  rights(): Promise<GivenRights | undefined>;
  /** Asks the permissions for the row. */
  maySee(row: object): Promise<boolean>;
}

/** What an event is to one subscription: perhaps another event, or none. */
export interface Sight {
  readonly event?: ObservedEvent;
  /** Whether a permission refused the row. */
  readonly isRefused: boolean;
  /** To be called once the event was let through: the next one depends on it. */
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

/** What a groups method may give. */
export type Groups = Iterable<string> | AsyncIterable<string> | Promise<Iterable<string>>;
