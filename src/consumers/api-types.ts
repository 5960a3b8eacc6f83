import type { ActionReply } from '../dispatch/reply.js';
import type { eventTypes, Subscription } from '../observers/model-event.js';
import type { ActionContext } from '../scope/action-context.js';
import type { ViewOf } from '../serializers/model-types.js';
import type { ApiConsumer } from './api-consumer.js';
import type { BaseModelConsumer, modelConsumerTypes } from './model-consumer.js';

/** One action as a client sees it. */
export interface ActionApi<Kwargs, Reply, Part> {
  readonly kwargs: Kwargs;
  readonly reply: Reply;
  /** What a generator sends before its reply; never where it is none. */
  readonly part: Part;
}

/** One observer as a client sees it. */
export interface ObserverApi<Kwargs, Event> {
  readonly kwargs: Kwargs;
  readonly event: Event;
}

/**
 * What a client may call on a consumer and hear from it: every public method is an action, or an observer where its first
 * parameter is a `ModelEvent`. Values are as JSON shows them.
 */
export interface ConsumerApi<C> {
  readonly actions: { readonly [Name in ActionName<C>]: ActionOf<C, C[Name]> };
  readonly observers: { readonly [Name in ObserverName<C>]: ObserverOf<C[Name]> };
}

type Framework = keyof ApiConsumer | keyof BaseModelConsumer<object, never>;
type Method = (...parameters: never) => unknown;
type PublicMethod<C> = { [Name in keyof C]: C[Name] extends Method ? Name : never }[Exclude<keyof C, Framework>];
type EventMethod = (event: never, subscription: Subscription<never>) => unknown;
type FirstOf<M> = M extends (first: infer First, ...rest: never) => unknown ? First : never;
type IsObserver<M> = M extends EventMethod
  ? FirstOf<M> extends { readonly [eventTypes]: unknown }
    ? true
    : false
  : false;

type ObserverName<C> = { [Name in PublicMethod<C>]: IsObserver<C[Name]> extends true ? Name : never }[PublicMethod<C>];
type ActionName<C> = Exclude<PublicMethod<C>, ObserverName<C>>;

type ObserverOf<M> = M extends (event: infer Event, subscription: Subscription<infer Kwargs>) => unknown
  ? ObserverApi<Json<Kwargs>, Json<EventShape<Event>>>
  : never;

type EventShape<Event> = Event extends { readonly action: infer Action; readonly data: infer Data }
  ? { action: Action; data: Data }
  : never;

type ActionOf<C, M> = M extends (...parameters: infer Parameters) => infer Returned
  ? ActionApi<KwargsOfAction<C, Parameters>, ReplyOf<C, Final<Returned>>, Json<PartOf<C, Returned>>>
  : never;

type ModelOf<C> = C extends { readonly [modelConsumerTypes]: { readonly model: infer Model } } ? Model : never;
type SerializerOf<C> = C extends { readonly [modelConsumerTypes]: { readonly serializer: infer S } } ? S : never;

type KwargsOfAction<C, Parameters> = Parameters extends readonly [infer First, ...infer Rest]
  ? First extends ActionContext
    ? unknown
    : IsModel<C, First> extends true
      ? { pk: KeyOfModel<C> } & KwargsOfAction<never, Rest>
      : Json<First>
  : Parameters extends readonly []
    ? unknown
    : Parameters extends readonly [(infer First)?, ...infer Rest]
      ? KwargsOfAction<C, [Exclude<First, undefined>, ...Rest]>
      : unknown;

type IsModel<C, T> = [ModelOf<C>] extends [never]
  ? false
  : [T] extends [ModelOf<C>]
    ? [ModelOf<C>] extends [T]
      ? true
      : false
    : false;

type KeyOfModel<C> = ModelOf<C> extends { id: infer Key } ? Json<Key> : string | number;

type Final<Returned> = Returned extends Generator<unknown, infer Result> | AsyncGenerator<unknown, infer Result>
  ? Awaited<Result>
  : Awaited<Returned>;

type PartOf<C, Returned> = Returned extends Generator<infer Part> | AsyncGenerator<infer Part> ? Shown<C, Part> : never;

type ReplyOf<C, Result> = Json<Shown<C, Result>>;

/** The consumer's own model goes through its serializer. */
type Shown<C, Result> =
  Result extends ActionReply<infer View>
    ? View
    : Result extends readonly (infer Item)[]
      ? IsModel<C, Item> extends true
        ? ViewOf<SerializerOf<C>>[]
        : Result
      : IsModel<C, Result> extends true
        ? ViewOf<SerializerOf<C>>
        : Result;

/** A value after it went through JSON: dates and bigints are text, nothing is null. */
export type Json<T> = unknown extends T
  ? T
  : T extends Date | bigint
    ? string
    : T extends string | number | boolean | null
      ? T
      : T extends undefined | void
        ? null
        : T extends { toJSON(): infer Shown }
          ? Json<Shown>
          : T extends (...parameters: never) => unknown
            ? never
            : T extends readonly (infer Item)[]
              ? Json<Item>[]
              : T extends object
                ? {
                    [Name in keyof T as T[Name] extends (...parameters: never) => unknown
                      ? never
                      : Extract<Name, string>]: Json<T[Name]>;
                  }
                : T;
