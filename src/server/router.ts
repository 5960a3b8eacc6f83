import { type CompiledConsumer, type ConsumerClass, compileConsumer } from '../consumers/compiled-consumer.js';
import { ConfigurationError } from '../errors.js';
import type { PermissionExpression } from '../permissions/permission.js';
import type { Settings } from '../settings.js';
import { Demultiplexer } from './demultiplexer.js';

export type Routed = ConsumerClass | Demultiplexer;

/** What a path leads to. */
export interface Route<Path extends string = string, To extends Routed = Routed> {
  readonly path: Path;
  readonly to: To;
}

/**
 * @param pattern a path whose parts may be parameters: `/ws/rooms/:room/` gives `scope.params.room`. A slash at the end
 * makes no difference.
 */
export function path<const Path extends string, const To extends Routed>(pattern: Path, to: To): Route<Path, To> {
  return { path: pattern, to };
}

/** A route with everything that decorators said about its consumers. */
export interface CompiledRoute {
  readonly path: string;
  readonly pattern: readonly string[];
  /** One consumer, or several by stream. */
  readonly consumers: CompiledConsumer | ReadonlyMap<string, CompiledConsumer>;
}

export interface Match {
  readonly route: CompiledRoute;
  readonly params: Readonly<Record<string, string>>;
}

/** Path -> route. The first route that matches wins. */
export class Router {
  readonly routes: readonly CompiledRoute[];
  readonly #compiled = new Map<ConsumerClass, CompiledConsumer>();
  readonly #names = new Map<string, number>();

  /** @throws ConfigurationError */
  constructor(routes: readonly Route[], defaults: readonly PermissionExpression[], settings: Settings) {
    const compile = (consumer: ConsumerClass): CompiledConsumer => this.#compile(consumer, defaults, settings);
    const seen = new Set<string>();
    this.routes = routes.map((route) => {
      const pattern = patternOf(route.path);
      const place = pattern.join('/');
      if (seen.has(place))
        throw fault(route.path, 'is there twice, and only the first would be served.', 'Drop one of them.');
      seen.add(place);
      return { path: route.path, pattern, consumers: compileTarget(route, compile) };
    });
    if (routes.length === 0) throw fault('routes', 'are empty.', "Give at least one: path('/ws/', YourConsumer).");
  }

  get consumers(): readonly CompiledConsumer[] {
    return [...this.#compiled.values()];
  }

  match(url: string): Match | undefined {
    if (!url.startsWith('/')) return undefined;
    const parts = partsOf(url.split('?', 1)[0] ?? '');
    for (const route of this.routes) {
      const params = paramsOf(route.pattern, parts);
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

function compileTarget(
  { path: at, to }: Route,
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

function patternOf(at: string): string[] {
  if (!at.startsWith('/')) throw fault(at, 'does not begin with a slash.', `Write /${at}.`);
  const pattern = partsOf(at);
  const names = pattern.filter((part) => part.startsWith(':')).map((part) => part.slice(1));
  const again = names.find((name, index) => names.indexOf(name) !== index);
  if (names.includes('')) throw fault(at, 'has a parameter without a name.', 'Write it as :room.');
  if (again) throw fault(at, `has two parameters named "${again}".`, 'Give each a name of its own.');
  return pattern;
}

function partsOf(pathname: string): string[] {
  return pathname.replace(/\/$/, '').split('/').slice(1);
}

function paramsOf(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== parts.length) return undefined;
  const params: Record<string, string> = Object.create(null);
  for (const [index, expected] of pattern.entries()) {
    const part = decoded(parts[index] ?? '');
    if (part === undefined) return undefined;
    if (!expected.startsWith(':')) {
      if (expected !== part) return undefined;
    } else if (part === '') return undefined;
    else params[expected.slice(1)] = part;
  }
  return params;
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function fault(member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: 'createApp', member, reason, remedy });
}
