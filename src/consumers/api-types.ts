import type { ModelConsumerTypes, modelConsumerTypes } from '../dispatch/actions.js';
import type { ActionReply } from '../dispatch/reply.js';
import type { eventTypes, ObserverMethod, Subscription } from '../observers/model-event.js';
import type { Page } from '../paginators/page.js';
import type { ActionContext } from '../scope/action-context.js';
import type { FieldInput, KeyOf, ViewOf } from '../serializers/model-types.js';
import type { Json } from '../wire/json.js';
import type { ApiConsumer } from './api-consumer.js';
import type { BaseModelConsumer } from './model-consumer.js';
import type { ModelTraits, PlainTraits } from './model-options.js';

/** One action as a client sees it. */
export interface ActionApi<Kwargs, Reply, Part> {
  /** `{}` where it takes none. */
  readonly kwargs: Kwargs;
  /** The `data` of its final reply, as JSON shows them. */
  readonly reply: Reply;
  /** What a generator sends before its reply; never where it is none. */
  readonly part: Part;
}

/** One observer as a client sees it. */
export interface ObserverApi<Kwargs, Event> {
  /** The kwargs of the subscriptions that the observer is given. */
  readonly kwargs: Kwargs;
  /** `{ action, data }` of each of its events, as JSON shows them. */
  readonly event: Event;
}

/**
 * What a client may call on a consumer and hear from it: every public method is an action, or an observer where its first
 * parameter is a `ModelEvent`. Values are as JSON shows them.
 *
 * Types cannot see what decorators say: that a method bears `@Action` at all, its `name`, the defaults of a schema, what a
 * declared `reply` leaves out. `reply(entity, { serializer })` and an annotated return type are seen.
 */
export interface ConsumerApi<C> {
  /** Keyed by the name of the method. */
  readonly actions: { readonly [Name in keyof C as Extract<ActionName<C>, Name>]: ActionOf<C, C[Name]> };
  /** Keyed by the name of the method. */
  readonly observers: { readonly [Name in keyof C as Extract<ObserverName<C>, Name>]: ObserverOf<C[Name]> };
  /** What the consumer subscribes to by itself, by request id: its `requestIds`. */
  readonly subscriptions: OwnSubscriptions<C>;
}

type OwnSubscriptions<C> = C extends { readonly requestIds: infer Ids }
  ? { readonly [Id in keyof Ids]: Ids[Id] extends ObserverName<C> ? ObserverOf<C[Ids[Id]]> : never }
  : Record<never, never>;

/** Carries types only; no value is ever there. */
export declare const takenAway: unique symbol;

/** The type of a method that is no action any more: `without`. */
export interface TakenAway {
  readonly [takenAway]: true;
}

type Framework = keyof ApiConsumer | keyof BaseModelConsumer<object, never>;
type Method = (...parameters: never) => unknown;
type PublicMethod<C> = {
  [Name in Exclude<keyof C, Framework>]: C[Name] extends TakenAway ? never : C[Name] extends Method ? Name : never;
}[Exclude<keyof C, Framework>];
type FirstOf<M> = M extends (first: infer First, ...rest: never) => unknown ? First : never;
type IsObserver<M> = M extends ObserverMethod
  ? FirstOf<M> extends { readonly [eventTypes]: unknown }
    ? true
    : false
  : false;

type ObserverName<C> = { [Name in PublicMethod<C>]: IsObserver<C[Name]> extends true ? Name : never }[PublicMethod<C>];
/** The methods of a consumer that are actions, as far as types tell. */
export type ActionName<C> = Exclude<PublicMethod<C>, ObserverName<C>>;

type ObserverOf<M> = M extends (event: infer Event, subscription: Subscription<infer Kwargs>) => unknown
  ? ObserverApi<Json<Kwargs>, EventShape<Event>>
  : never;

/** Each of the three actions for itself, so that `event.action === 'delete'` narrows the data. */
type EventShape<Event> = Event extends { readonly action: infer Action; readonly data: infer Data }
  ? { readonly action: Action; readonly data: Json<Data> }
  : Event extends { readonly signal: infer Name; readonly data: infer Data }
    ? { readonly action: Name; readonly data: Json<Data> }
    : never;

type ActionOf<C, M> = M extends (...parameters: infer Parameters) => infer Returned
  ? ActionApi<OneObject<KwargsOfAction<C, Parameters>>, Json<Shown<C, Final<Returned>>>, Json<PartOf<C, Returned>>>
  : never;

type ModelOf<C> = C extends ModelConsumerTypes<infer Model, unknown> ? Model : never;
type SerializerOf<C> = C extends ModelConsumerTypes<unknown, infer S> ? S : never;

/** By what clients name a row of it. */
type LookupOf<C> = C extends { readonly [modelConsumerTypes]: { readonly traits: infer Traits extends ModelTraits } }
  ? Traits
  : PlainTraits;
type LookupValue<Entity, Field> = Field extends keyof Entity ? FieldInput<Entity[Field]> : KeyOf<Entity>;

/** Inferred, so that editors show the object and not the name of this type. */
type OneObject<T> = T extends infer Shown ? { [Key in keyof Shown]: Shown[Key] } : never;
type NoKwargs = Record<never, never>;

/** `[object?, kwargs?, context?]` -> what a client sends. */
type KwargsOfAction<C, Parameters extends readonly unknown[]> =
  Required<Parameters> extends readonly [infer First, ...infer Rest]
    ? First extends ActionContext
      ? NoKwargs
      : IsModel<C, First> extends true
        ? {
            [Name in LookupOf<C>['lookupUrlKwarg']]: Json<LookupValue<First, LookupOf<C>['lookupField']>>;
          } & KwargsOfAction<never, Rest>
        : Json<First>
    : NoKwargs;

type IsModel<C, T> = [ModelOf<C>] extends [never]
  ? false
  : [T] extends [ModelOf<C>]
    ? [ModelOf<C>] extends [T]
      ? true
      : false
    : false;

type Final<Returned> = Returned extends Generator<unknown, infer Result> | AsyncGenerator<unknown, infer Result>
  ? Awaited<Result>
  : Awaited<Returned>;

type PartOf<C, Returned> = Returned extends Generator<infer Part> | AsyncGenerator<infer Part> ? Shown<C, Part> : never;

/** The consumer's own model goes through its serializer. */
type Shown<C, Result> = unknown extends Result
  ? Result
  : Result extends ActionReply<infer View>
    ? Shown<C, View>
    : Result extends Page<unknown>
      ? { readonly [Name in keyof Result]: Name extends 'results' ? Shown<C, Result[Name]> : Result[Name] }
      : Result extends readonly (infer Item)[]
        ? IsRow<C, Item> extends true
          ? ViewOf<SerializerOf<C>>[]
          : Result
        : IsRow<C, Result> extends true
          ? ViewOf<SerializerOf<C>>
          : Result;

/** Also one of `find(…, { populate })`, whose type is narrower than that of the model. */
type IsRow<C, T> = [T] extends [never]
  ? false
  : [ModelOf<C>] extends [never]
    ? false
    : T extends ModelOf<C>
      ? true
      : false;
