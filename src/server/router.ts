import { faultsOf } from '../configuration-faults.js';
import { type CompiledConsumer, type ConsumerClass, compileConsumer } from '../consumers/compiled-consumer.js';
import { hasRules, isStandardSchema, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { PermissionExpression } from '../permissions/permission.js';
import { noParameters, type ParameterSource, RouteParameters } from '../scope/route-parameters.js';
import { pathAndQuery } from '../scope/scope.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { Settings } from '../settings.js';
import { longestStreamName } from '../wire/binary.js';
import { Demultiplexer, NestedRouter, type Route, type Routed, type RouteOptions } from './routes.js';

const fault = faultsOf('createApp');

/** A route with everything that decorators said about its consumers. */
export interface CompiledRoute {
  readonly path: string;
  readonly pattern: RoutePattern;
  /** The parameters of a route that declares none. */
  readonly noParameters: RouteParameters;
  /** The middleware of the application, then of the routers around the route, then its own. */
  readonly middleware: readonly ScopeMiddlewareClass[];
  readonly schemas: Pick<RouteOptions, ParameterSource>;
  /** One consumer, or several by stream. */
  readonly consumers: CompiledConsumer | ReadonlyMap<string, CompiledConsumer>;
  /** The subprotocols of its consumers. */
  readonly subprotocols: readonly string[];
  /** Whether it declares parameters, of the path, the query or the headers. */
  readonly hasParameters: boolean;
  /** Whether a consumer of it takes binary frames. */
  readonly takesBinary: boolean;
  /** Whether a handshake has nothing to ask: there is no middleware, no parameter and no permission to connect. */
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
  #last: { readonly url: string; readonly match: Match | undefined } | undefined;

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

  /** One upgrade asks twice: whether a route leads there, and which. */
  match(url: string): Match | undefined {
    if (this.#last?.url !== url) this.#last = { url, match: this.#find(url) };
    return this.#last.match;
  }

  #find(url: string): Match | undefined {
    if (!url.startsWith('/')) return undefined;
    const [pathname] = pathAndQuery(url);
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
  const hasSchema = (['params', 'query', 'headers'] as const).some((source) => schemas[source] !== undefined);
  const hasParameters = hasSchema || pattern.some((part) => typeof part !== 'string');
  return {
    path,
    pattern,
    noParameters: new RouteParameters(path),
    middleware,
    schemas,
    consumers,
    subprotocols: all.flatMap(({ options }) => options.subprotocols ?? []),
    hasParameters,
    takesBinary: all.some(({ options }) => options.binary),
    isOpen: middleware.length === 0 && !hasParameters && all.every(({ permissions }) => permissions.isOpen),
  };
}

function compileTarget(
  { path: at, to }: FlatRoute,
  compile: (consumer: ConsumerClass) => CompiledConsumer,
): CompiledRoute['consumers'] {
  if (!(to instanceof Demultiplexer)) return compile(classOf(at, to));
  const streams = Object.entries(to.streams);
  if (streams.length === 0)
    throw fault(at, 'is a demultiplexer without streams.', 'Give it one: demultiplexer({ rooms: RoomConsumer }).');
  for (const [stream] of streams) {
    if (stream === '')
      throw fault(at, 'has a stream without a name.', 'Name it: demultiplexer({ rooms: RoomConsumer }).');
    if (Buffer.byteLength(stream) > longestStreamName)
      throw fault(
        at,
        `has the stream "${stream.slice(0, 32)}…", whose name has more than ${longestStreamName} bytes.`,
        'Shorten it: binary frames count it in one byte.',
      );
  }
  return new Map(
    streams.map(([stream, consumer]) => [stream, compile(classOf(at, consumer, `in its stream "${stream}" `))]),
  );
}

// Routes of routers -> routes with whole paths

/** A route with all that stands around it. */
interface FlatRoute {
  readonly path: string;
  readonly to: Routed;
  readonly options: RouteOptions;
  readonly middleware: readonly ScopeMiddlewareClass[];
}

interface Around {
  readonly prefix: string;
  readonly middleware: readonly ScopeMiddlewareClass[];
}

/** Routes of routers -> routes with whole paths, in their order. @throws ConfigurationError */
function flatRoutes(routes: readonly Route[], around: Around): readonly FlatRoute[] {
  return routes.flatMap((route) => flatRoute(route, around));
}

function flatRoute(route: Route, { prefix, middleware }: Around): readonly FlatRoute[] {
  if (typeof route?.path !== 'string')
    throw fault('routes', `have ${shown(route)}, which is no route.`, "Write path('/ws/', YourConsumer).");
  const { path, to, options } = route;
  const whole = `${prefix}${path}`;
  if (prefix !== '' && path.startsWith('/'))
    throw fault(whole, 'begins with a slash below another path.', `Write ${path.slice(1)}.`);
  const inner = [...middleware, ...(options.middleware ?? [])];
  if (!(to instanceof NestedRouter)) return [{ path: whole, to, options, middleware: inner }];
  if (!whole.endsWith('/')) throw fault(whole, 'has routes below it and no slash at its end.', `Write ${path}/.`);
  const schema = (['params', 'query', 'headers'] as const).find((source) => options[source]);
  if (schema) throw fault(whole, `declares ${schema} and leads to a router.`, 'Declare them at the routes in it.');
  if (to.routes.length === 0) throw fault(whole, 'leads to a router without routes.', 'Give it one, or drop it.');
  return flatRoutes(to.routes, { prefix: whole, middleware: [...inner, ...(to.options.middleware ?? [])] });
}

// What could not work, or would let through what it seems to keep out

const knownOptions = ['middleware', 'params', 'query', 'headers'];

/** @throws ConfigurationError for options that could not work, or would let through what they seem to keep out */
function checkRoute(route: FlatRoute, settings: Settings): void {
  const { path: at, options, middleware } = route;
  const strange = Object.keys(options).find((name) => !knownOptions.includes(name));
  if (strange)
    throw fault(at, `has the option "${strange}", which there is not.`, `There are: ${knownOptions.join(', ')}.`);
  for (const source of ['params', 'query', 'headers'] as const) checkSchema(at, source, options[source]);
  for (const piece of middleware) checkPiece(at, piece);
  const twice = middleware.find((piece, index) => middleware.indexOf(piece) !== index);
  if (twice) throw fault(at, `runs ${twice.name} twice.`, 'Leave it to the application or to the route.');
  checkCookie(route, settings);
}

function checkSchema(at: string, source: ParameterSource, schema: unknown): void {
  if (schema === undefined) return;
  const isObject = (typeof schema === 'object' && schema !== null) || typeof schema === 'function';
  if (isObject && isStandardSchema(schema as KwargsSchema)) return;
  if (typeof schema !== 'function')
    throw fault(at, `declares ${source} that are no class and no Standard Schema.`, 'Give one of them.');
  if (hasRules(schema as never)) return;
  throw fault(
    at,
    `declares ${schema.name} as its ${source}, which has no rule, so that nothing a client sends would reach it.`,
    "Put class-validator's decorators on its properties.",
  );
}

function checkPiece(at: string, piece: unknown): void {
  if (piece === undefined) {
    throw fault(at, 'has undefined among its middleware, which is no class.', 'Look for a circular import.');
  }
  if (typeof piece !== 'function' || isArrow(piece)) {
    const remedy =
      'Write a class, which the container builds: @injectable() class Login implements ScopeMiddleware { async apply(scope: Scope) { … } }.';
    throw fault(at, `has ${shown(piece)} among its middleware, which is no class.`, remedy);
  }
  if (!isMaker(piece)) return;
  const reason = `has ${piece.name} among its middleware, which is a function that makes one, and was not called.`;
  throw fault(at, reason, `Call it: ${piece.name}(…).`);
}

/** @returns the consumer class @throws ConfigurationError where an instance or a function stands in its place */
function classOf(at: string, consumer: unknown, where = ''): ConsumerClass {
  if (typeof consumer === 'function' && !isArrow(consumer)) return consumer as ConsumerClass;
  const isInstance = typeof consumer === 'object' && consumer !== null;
  const remedy = isInstance
    ? `Give the class, from which every connection gets an instance of its own: ${consumer.constructor.name}.`
    : 'Give a class with @Consumer(). If you did, look for a circular import.';
  throw fault(at, `leads ${where}to ${shown(consumer)}, which is no consumer class.`, remedy);
}

/** Arrow functions and methods have no prototype: they build nothing. */
function isArrow(piece: object): boolean {
  return Reflect.get(piece, 'prototype') === undefined;
}

function shown(value: unknown): string {
  if (typeof value === 'function') return isArrow(value) ? 'an arrow function' : `the class ${value.name}`;
  if (typeof value !== 'object' || value === null) return String(value);
  const { name } = value.constructor ?? Object;
  return name === 'Object' ? 'an object' : `an instance of ${name}`;
}

/** A class may have `apply` as a field, which only an instance shows. */
function isMaker(piece: NonNullable<unknown> & { readonly prototype?: object }): boolean {
  if (typeof piece.prototype === 'object' && 'apply' in piece.prototype) return false;
  return !Function.prototype.toString.call(piece).startsWith('class');
}

function checkCookie({ path: at, middleware }: FlatRoute, { origins }: Settings): void {
  const byCookie = middleware.find(({ cookie }: ScopeMiddlewareClass) => cookie !== undefined);
  if (!byCookie || origins !== 'any') return;
  throw fault(
    at,
    `logs users in by the cookie "${byCookie.cookie}", and the setting origins is "any": every page could act for them.`,
    'List the origins that may connect.',
  );
}

// Paths with parameters

interface Converter {
  readonly takes: RegExp;
  readonly convert: (text: string) => string | number;
}

const asItIs = (text: string): string => text;

const converters: Readonly<Record<string, Converter>> = {
  text: { takes: /^.+$/su, convert: asItIs },
  int: { takes: /^(0|[1-9]\d{0,14})$/, convert: Number },
  uuid: { takes: /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i, convert: asItIs },
};

interface Parameter {
  readonly name: string;
  readonly converter: Converter;
}

/** Each part of a path: a text that has to be there, or a parameter. */
export type RoutePattern = readonly (string | Parameter)[];

/** @throws ConfigurationError */
function patternOf(at: string): RoutePattern {
  if (!at.startsWith('/')) throw fault(at, 'does not begin with a slash.', `Write /${at}.`);
  const pattern = partsOf(at).map((part) => (part.startsWith(':') ? parameterOf(at, part) : part));
  const names = pattern.flatMap((part) => (typeof part === 'string' ? [] : [part.name]));
  const again = names.find((name, index) => names.indexOf(name) !== index);
  if (again) throw fault(at, `has two parameters named "${again}".`, 'Give each a name of its own.');
  return pattern;
}

/** Two patterns of one place take the same paths. */
function placeOf(pattern: RoutePattern): string {
  return pattern.map((part) => (typeof part === 'string' ? part : `:${part.converter.takes.source}`)).join('/');
}

/** The parameters of a path that the pattern takes. A path whose escapes mean no text is taken by none. */
function paramsOf(pattern: RoutePattern, pathname: string): Readonly<Record<string, string>> | undefined {
  const parts = partsOf(pathname);
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = hasParameters(pattern) ? Object.create(null) : noParameters;
  for (const [index, expected] of pattern.entries()) {
    const part = decoded(parts[index] ?? '');
    if (part === undefined) return undefined;
    if (typeof expected === 'string') {
      if (expected !== part) return undefined;
    } else if (expected.converter.takes.test(part)) params[expected.name] = part;
    else return undefined;
  }
  return params;
}

/** Converts the parameters to their kinds: `int` to a number. */
export function convertedParams(
  pattern: RoutePattern,
  params: Readonly<Record<string, string>>,
): Readonly<Record<string, string | number>> {
  if (!hasParameters(pattern)) return noParameters;
  const converted: Record<string, string | number> = Object.create(null);
  for (const part of pattern) {
    const text = typeof part === 'string' ? undefined : params[part.name];
    if (typeof part !== 'string' && text !== undefined) converted[part.name] = part.converter.convert(text);
  }
  return converted;
}

function hasParameters(pattern: RoutePattern): boolean {
  return pattern.some((part) => typeof part !== 'string');
}

function partsOf(pathname: string): string[] {
  return pathname.replace(/\/$/, '').split('/').slice(1);
}

function parameterOf(at: string, part: string): Parameter {
  const [, name = '', , kind = 'text'] = /^:([^()]*)(\(([^()]*)\))?$/.exec(part) ?? [];
  if (name === '') throw fault(at, 'has a parameter without a name.', 'Write it as :room.');
  const converter = Object.hasOwn(converters, kind) ? converters[kind] : undefined;
  if (converter) return { name, converter };
  throw fault(
    at,
    `has a parameter "${name}" of the kind "${kind}", which there is not.`,
    `There are: ${Object.keys(converters).join(', ')}. Give a class as params for anything else.`,
  );
}

/** Undefined for what is no text, or none that a database takes. */
function decoded(part: string): string | undefined {
  try {
    const text = decodeURIComponent(part);
    return text.isWellFormed() && !text.includes('\0') ? text : undefined;
  } catch {
    return undefined;
  }
}
