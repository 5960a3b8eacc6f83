import type { ConsumerClass } from '../consumers/compiled-consumer.js';
import type { ParameterSchema } from '../scope/route-parameters.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';

export type Routed = ConsumerClass | Demultiplexer;

/** The target of a path: a consumer, a demultiplexer, or a router with further paths. */
export type RouteTarget = Routed | NestedRouter;

/** Options of `router`. */
export interface RouterOptions {
  /** Scope middleware of the routes in it: after that of the application, before that of the routes. */
  readonly middleware?: readonly ScopeMiddlewareClass[];
}

/** Options of `path`: middleware, and checks of the handshake's parameters. */
export interface RouteOptions extends RouterOptions {
  /** Checks the parameters of the path; 404 if they are invalid. Read them by `scope.paramsAs`. */
  readonly params?: ParameterSchema;
  /** Checks the query; 400 if it is invalid. A name that occurs several times gives an array of texts. Read it by `scope.queryAs`. */
  readonly query?: ParameterSchema;
  /** Checks the headers, by their names in lower case; 400 if they are invalid. Read them by `scope.headersAs`. */
  readonly headers?: ParameterSchema;
}

/** One entry of `routes`. */
export interface Route<Path extends string = string, To extends RouteTarget = RouteTarget> {
  /** The pattern as it is written: `/ws/rooms/:room(int)/`. */
  readonly path: Path;
  /** A consumer, a demultiplexer or a router. */
  readonly to: To;
  /** The third argument of `path`. */
  readonly options: RouteOptions;
}

/** Further routes below a path. */
export class NestedRouter<const Routes extends readonly Route[] = readonly Route[]> {
  constructor(
    /** The routes below the path. */
    readonly routes: Routes,
    /** The options for all of these routes. */
    readonly options: RouterOptions,
  ) {}
}

/**
 * Makes one entry of `routes`: the pattern of a path, and the target that serves its sockets.
 *
 * ```ts
 * path('/ws/rooms/:room(int)/', RoomConsumer, { middleware: [cookieSession(Sessions)] })
 * ```
 *
 * @param pattern a path whose parts may be parameters: `/ws/rooms/:room/` gives `scope.params.room`. `:room(int)` matches only whole
 * numbers, `:room(uuid)` only UUIDs; other paths go to other routes, or get a 404. A slash at the end makes no difference.
 */
export function path<const Path extends string, const To extends RouteTarget>(
  pattern: Path,
  to: To,
  options: RouteOptions = {},
): Route<Path, To> {
  return { path: pattern, to, options };
}

/**
 * Groups routes below a path. Their patterns begin without a slash; their parameters are added to those of the path above.
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
  constructor(
    /** The consumer of each stream, by the name of the stream. */
    readonly streams: S,
  ) {}
}

/**
 * Serves several consumers over one socket, each in a stream of its own and isolated from the others.
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
