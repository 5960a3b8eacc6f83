import type { ConsumerApi } from '../consumers/api-types.js';
import type { App } from './app.js';
import type { Demultiplexer } from './demultiplexer.js';
import type { Route, Routed } from './router.js';

type PathOf<Routes> = Routes extends readonly Route<infer Path>[] ? Path : never;

type InstanceOf<C> = C extends new (...parameters: never) => infer Instance ? Instance : never;

type ApiOf<To extends Routed> =
  To extends Demultiplexer<infer Streams>
    ? { readonly [Name in keyof Streams]: ConsumerApi<InstanceOf<Streams[Name]>> }
    : ConsumerApi<InstanceOf<To>>;

/**
 * What an application offers to its clients, without a line of its code: the type that a client is inferred from.
 *
 * ```ts
 * const app = createApp({ orm, routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer }))] });
 * export type Api = AppApi<typeof app>;                   // { rooms: { actions: { list: … }, observers: … } }
 * ```
 *
 * @typeParam Path which route, where there are several
 */
export type AppApi<A, Path extends PathOf<RoutesOf<A>> = PathOf<RoutesOf<A>>> =
  Extract<RoutesOf<A>[number], Route<Path>> extends Route<string, infer To> ? ApiOf<To> : never;

type RoutesOf<A> = A extends App<infer Routes> ? Routes : never;
