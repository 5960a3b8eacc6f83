import { type CompiledConsumer, type ConsumerClass, compileConsumer } from '../consumers/compiled-consumer.js';
import type { PermissionExpression } from '../permissions/permission.js';
import type { ParameterSource } from '../scope/route-parameters.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { Settings } from '../settings.js';
import { type FlatRoute, flatRoutes } from './flat-routes.js';
import { checkRoute } from './route-check.js';
import { fault, paramsOf, patternOf, placeOf, type RoutePattern } from './route-pattern.js';
import { Demultiplexer, type Route, type RouteOptions } from './routes.js';

/** A route with everything that decorators said about its consumers. */
export interface CompiledRoute {
  readonly path: string;
  readonly pattern: RoutePattern;
  /** Of the application, of the routers around it, its own: in this order. */
  readonly middleware: readonly ScopeMiddlewareClass[];
  readonly schemas: Pick<RouteOptions, ParameterSource>;
  /** One consumer, or several by stream. */
  readonly consumers: CompiledConsumer | ReadonlyMap<string, CompiledConsumer>;
  /** The subprotocols of its consumers. */
  readonly subprotocols: readonly string[];
  /** Whether a handshake asks nobody: there is no middleware, no schema and no permission to connect. */
  readonly isOpen: boolean;
}

export interface Match {
  readonly route: CompiledRoute;
  readonly params: Readonly<Record<string, string>>;
}

/** What the application says for all routes. */
export interface RouterDefaults {
  readonly permissions: readonly PermissionExpression[];
  readonly middleware: readonly ScopeMiddlewareClass[];
}

/** Path -> route. The first route that matches wins. */
export class Router {
  readonly routes: readonly CompiledRoute[];
  readonly #compiled = new Map<ConsumerClass, CompiledConsumer>();
  readonly #names = new Map<string, number>();

  /** @throws ConfigurationError */
  constructor(routes: readonly Route[], { permissions, middleware }: RouterDefaults, settings: Settings) {
    const compile = (consumer: ConsumerClass): CompiledConsumer => this.#compile(consumer, permissions, settings);
    const seen = new Set<string>();
    this.routes = flatRoutes(routes, { prefix: '', middleware }).map((route) => {
      const pattern = patternOf(route.path);
      const place = placeOf(pattern);
      if (seen.has(place))
        throw fault(route.path, 'is there twice, and only the first would be served.', 'Drop one of them.');
      seen.add(place);
      checkRoute(route, settings);
      return compiledRoute(route, pattern, compileTarget(route, compile));
    });
    if (this.routes.length === 0) throw fault('routes', 'are empty.', "Give at least one: path('/ws/', YourConsumer).");
  }

  get consumers(): readonly CompiledConsumer[] {
    return [...this.#compiled.values()];
  }

  match(url: string): Match | undefined {
    if (!url.startsWith('/')) return undefined;
    const [pathname = ''] = url.split('?', 1);
    for (const route of this.routes) {
      const params = paramsOf(route.pattern, pathname);
      if (params) return { route, params };
    }
    return undefined;
  }

  /** A class that stands in several routes is compiled once: its observers are one. */
  #compile(consumer: ConsumerClass, defaults: readonly PermissionExpression[], settings: Settings): CompiledConsumer {
    const known = this.#compiled.get(consumer);
    if (known) return known;
    const count = (this.#names.get(consumer.name) ?? 0) + 1;
    this.#names.set(consumer.name, count);
    const id = count === 1 ? consumer.name : `${consumer.name}#${count}`;
    const compiled = compileConsumer(consumer, id, defaults, settings);
    this.#compiled.set(consumer, compiled);
    return compiled;
  }
}

function compiledRoute(
  { path, middleware, options: schemas }: FlatRoute,
  pattern: RoutePattern,
  consumers: CompiledRoute['consumers'],
): CompiledRoute {
  const all = consumers instanceof Map ? [...consumers.values()] : [consumers as CompiledConsumer];
  const hasSchema = schemas.params || schemas.query || schemas.headers;
  return {
    path,
    pattern,
    middleware,
    schemas,
    consumers,
    subprotocols: all.flatMap(({ options }) => options.subprotocols ?? []),
    isOpen:
      middleware.length === 0 &&
      !hasSchema &&
      pattern.every((part) => typeof part === 'string') &&
      all.every(({ permissions }) => permissions.isOpen),
  };
}

function compileTarget(
  { path: at, to }: FlatRoute,
  compile: (consumer: ConsumerClass) => CompiledConsumer,
): CompiledRoute['consumers'] {
  if (!(to instanceof Demultiplexer)) return compile(to);
  const streams = Object.entries(to.streams);
  if (streams.length === 0)
    throw fault(at, 'is a demultiplexer without streams.', 'Give it one: demultiplexer({ rooms: RoomConsumer }).');
  if (streams.some(([stream]) => stream === ''))
    throw fault(at, 'has a stream without a name.', 'Name it: demultiplexer({ rooms: RoomConsumer }).');
  const consumers = new Map(streams.map(([stream, consumer]) => [stream, compile(consumer)]));
  for (const [stream, { options, consumer }] of consumers) {
    if (options.binary)
      throw fault(
        at,
        `has ${consumer.name} in its stream "${stream}", which takes binary frames, and these name no stream.`,
        'Give it a route of its own.',
      );
  }
  return consumers;
}
