import type { ConsumerClass } from '../consumers/compiled-consumer.js';
import type { ParameterSchema } from '../scope/route-parameters.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';

export type Routed = ConsumerClass | Demultiplexer;

/** What a path leads to: in the end a consumer, on the way further paths. */
export type RouteTarget = Routed | NestedRouter;

/** Options of `router`. */
export interface RouterOptions {
  /** Providers that add to the scope of each connection: after those of the application, before those of the routes in it. */
  readonly middleware?: readonly ScopeMiddlewareClass[];
}

/** Options of `path`: middleware and the checks of what the handshake brings. */
export interface RouteOptions extends RouterOptions {
  /** Checks the parameters of the path; 404 where they do not fit. Read them by `scope.paramsAs`. */
  readonly params?: ParameterSchema;
  /**
   * Checks the query; 400 where it does not fit. A name that stands there several times gives an array of its texts. Read it
   * by `scope.queryAs`.
   */
  readonly query?: ParameterSchema;
  /** Checks the headers, by their names in lower case; 400 where they do not fit. Read them by `scope.headersAs`. */
  readonly headers?: ParameterSchema;
}

/** One entry of `routes`. */
export interface Route<Path extends string = string, To extends RouteTarget = RouteTarget> {
  /** The pattern, as it was written: `/ws/rooms/:room(int)/`. */
  readonly path: Path;
  /** A consumer, a demultiplexer or a router. */
  readonly to: To;
  readonly options: RouteOptions;
}

/** Further routes below a path. */
export class NestedRouter<const Routes extends readonly Route[] = readonly Route[]> {
  constructor(
    readonly routes: Routes,
    readonly options: RouterOptions,
  ) {}
}

/**
 * One entry of `routes`: the pattern of a path, and what serves the sockets that ask for it.
 *
 * ```ts
 * path('/ws/rooms/:room(int)/', RoomConsumer, { middleware: [cookieSession(Sessions)] })
 * ```
 *
 * @param pattern a path whose parts may be parameters: `/ws/rooms/:room/` gives `scope.params.room`. `:room(int)` takes whole
 * numbers only, `:room(uuid)` UUIDs; another path is another route's, or a 404. A slash at the end makes no difference.
 */
export function path<const Path extends string, const To extends RouteTarget>(
  pattern: Path,
  to: To,
  options: RouteOptions = {},
): Route<Path, To> {
  return { path: pattern, to, options };
}

/**
 * Routes that belong together, below a path of their own. Their patterns begin without a slash; their parameters come beside
 * those of the path above.
 *
 * ```ts
 * path('/ws/', router([path('rooms/:room(int)/', RoomConsumer), path('users/', UserConsumer)], { middleware: [Tenant] }))
 * ```
 */
export function router<const Routes extends readonly Route[]>(
  routes: Routes,
  options: RouterOptions = {},
): NestedRouter<Routes> {
  return new NestedRouter(routes, options);
}

export type Streams = Readonly<Record<string, ConsumerClass>>;

/** Several consumers behind one socket. */
export class Demultiplexer<S extends Streams = Streams> {
  constructor(readonly streams: S) {}
}

/**
 * Several consumers behind one socket, each in a stream of its own and isolated from the others.
 *
 * ```ts
 * path('/ws/chat/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer }))
 * ```
 *
 * ```json
 * {"stream": "rooms", "payload": {"action": "list", "request_id": 1}}
 * {"stream": "rooms", "payload": {"errors": [], "data": [], "action": "list", "response_status": 200, "request_id": 1}}
 * ```
 */
export function demultiplexer<const S extends Streams>(streams: S): Demultiplexer<S> {
  return new Demultiplexer(streams);
}
