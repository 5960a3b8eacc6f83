import type { ConsumerApi } from '../consumers/api-types.js';
import type { App } from './app.js';
import type { Demultiplexer, NestedRouter, Route, Routed } from './routes.js';

/** The routes with their whole paths, as a union: a router's routes have the path that leads to the router in front. */
type FlatRoute<Routes, Prefix extends string = ''> = Routes extends readonly (infer Each)[]
  ? Each extends Route<infer Path, infer To>
    ? string extends Path
      ? { readonly path: string; readonly to: Routed }
      : To extends NestedRouter<infer Inner>
        ? FlatRoute<Inner, `${Prefix}${Path}`>
        : { readonly path: `${Prefix}${Path}`; readonly to: To }
    : never
  : never;

type PathOf<Routes> = FlatRoute<Routes>['path'];

type InstanceOf<C> = C extends new (...parameters: never) => infer Instance ? Instance : never;

type ApiOf<To> = To extends Routed ? RoutedApi<To> : never;

type RoutedApi<To extends Routed> =
  To extends Demultiplexer<infer Streams>
    ? { readonly [Name in keyof Streams]: ConsumerApi<InstanceOf<Streams[Name]>> }
    : ConsumerApi<InstanceOf<To>>;

/**
 * The type of an application for its clients, without any of its code: clients are inferred from it.
 *
 * ```ts
 * const app = createApp({ orm, routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer }))] });
 * export type Api = AppApi<typeof app>;                   // { rooms: { actions: { list: … }, observers: … } }
 * ```
 *
 * @typeParam Path the route, if there are several; for a route below a router its whole path: `'/ws/rooms/:room/'`
 */
export type AppApi<A, Path extends PathOf<RoutesOf<A>> = PathOf<RoutesOf<A>>> = ApiOf<
  Extract<FlatRoute<RoutesOf<A>>, { readonly path: Path }>['to']
>;

type RoutesOf<A> = A extends App<infer Routes> ? Routes : never;
