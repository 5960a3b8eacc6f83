import 'reflect-metadata';
import { type DependencyContainer, type InjectionToken, Lifecycle } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { Scope } from './scope.js';

/** What to do where the decorator is there and the types are not. */
const withoutMetadata =
  'If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).';

/**
 * A class with constructor parameters, its own or inherited, and no decorator of its own is built by the container without
 * a word, with nothing in its parameters.
 *
 * @throws ConfigurationError
 */
export function checkProviders(container: DependencyContainer, providers: readonly ConcreteClass[]): void {
  for (const provider of providers) {
    const tokens = parameterTokens(provider);
    const shapeless = tokens.findIndex((token) => token === Object || token === Function || token === undefined);
    if (shapeless !== -1 && !container.isRegistered(provider, true)) {
      throw new ConfigurationError({
        class: provider.name,
        reason: `the type of constructor parameter ${shapeless + 1} does not exist at run time: an import type, an interface or a circular import.`,
        remedy: 'Import the class as a value, or name a token: @inject(token).',
      });
    }
    const count = Math.max(provider.length, tokens.length);
    if (count === 0 || Reflect.hasOwnMetadata('design:paramtypes', provider)) continue;
    // Where each parameter has its @inject, no type is needed.
    if (tokens.length === count && !tokens.includes(undefined) && Reflect.hasOwnMetadata(injected, provider)) continue;
    if (tokens.length > 0 && asksFor(container, provider, tokens[0] as InjectionToken)) continue;
    throw new ConfigurationError({
      class: provider.name,
      reason: `has ${count === 1 ? '1 constructor parameter' : `${count} constructor parameters`}, and no decorator of its own wrote down ${count === 1 ? 'its type' : 'their types'}, so that the container would hand it nothing.`,
      remedy: `Put @injectable() on it. ${withoutMetadata}`,
    });
  }
}

/** Whether the container, asked for the provider, goes on to ask for its first parameter. Nothing is built if it does. */
function asksFor(container: DependencyContainer, provider: ConcreteClass, parameter: InjectionToken): boolean {
  const probe = container.createChildContainer();
  let isAsked = false;
  probe.beforeResolution(parameter, () => {
    isAsked = true;
    throw new Error('Asked for; nothing has to be built.');
  });
  try {
    probe.resolve(provider);
  } catch {
    // Either the parameter was asked for, or the constructor failed without it.
  }
  return isAsked;
}

/**
 * Builds, from the root container, every registered provider that these classes depend on, so that what they need is
 * known to be there before the first connection. Providers that need a connection cannot be built here, and are left to it.
 *
 * @throws ConfigurationError for a singleton that would keep what is one connection's, for everybody
 */
export function buildSingletons(container: DependencyContainer, classes: readonly ConcreteClass[]): void {
  const seen = new Set<unknown>();
  const visit = (token: unknown): void => {
    if (seen.has(token)) return;
    seen.add(token);
    for (const dependency of dependenciesOf(container, token)) visit(dependency);
    if (isSingleton(container, token)) checkFreeOfConnections(container, token);
    if (isOfConnection(container, token) || !container.isRegistered(token as InjectionToken, true)) return;
    tryToResolve(container, token as InjectionToken);
  };
  for (const provider of classes) visit(provider);
}

/** @throws ConfigurationError for a consumer that connections would share */
export function checkConsumersAreNotShared(container: DependencyContainer, consumers: readonly ConcreteClass[]): void {
  for (const consumer of consumers) {
    if (!isSingleton(container, consumer)) continue;
    throw new ConfigurationError({
      class: consumer.name,
      reason: 'is a singleton, and every connection needs a consumer of its own.',
      remedy: 'Take @singleton() off it.',
    });
  }
}

function checkFreeOfConnections(container: DependencyContainer, singleton: unknown): void {
  const way = wayTo(container, singleton, (token) => token === Scope || isOfConnection(container, token));
  if (!way) return;
  const isScope = way.at(-1) === Scope;
  throw new ConfigurationError({
    class: nameOf(singleton),
    reason: isScope
      ? `is a singleton and depends on the scope of one connection: ${shown(way)}.`
      : `is a singleton and depends on ${nameOf(way.at(-1))}, of which every connection has its own: ${shown(way)}.`,
    remedy: isScope
      ? 'Take @singleton() off it, or hand the scope to its methods.'
      : 'Take @singleton() off it, or hand that to its methods.',
  });
}

/** @throws ConfigurationError for a serializer of events that needs a connection: there is none when a change is shown */
export function checkShowsEvents(container: DependencyContainer, serializer: ConcreteClass): void {
  const way = wayTo(container, serializer, (token) => token === Scope);
  if (!way) return;
  throw new ConfigurationError({
    class: serializer.name,
    reason: `shows events, once per change and outside any connection, and depends on the scope of one: ${shown(way)}.`,
    remedy: 'Take the scope from context.request where there is a request, or observe with another serializer.',
  });
}

function wayTo(
  container: DependencyContainer,
  token: unknown,
  isEnd: (token: unknown) => boolean,
  seen: Set<unknown> = new Set(),
): readonly unknown[] | undefined {
  if (isEnd(token)) return [token];
  if (seen.has(token)) return undefined;
  seen.add(token);
  for (const dependency of dependenciesOf(container, token)) {
    const way = wayTo(container, dependency, isEnd, seen);
    if (way) return [token, ...way];
  }
  return undefined;
}

function shown(way: readonly unknown[]): string {
  return way.map(nameOf).join(' -> ');
}

function isSingleton(container: DependencyContainer, token: unknown): boolean {
  return hasLifecycle(container, token, Lifecycle.Singleton);
}

function tryToResolve(container: DependencyContainer, token: InjectionToken): void {
  try {
    container.resolve(token);
  } catch {
    // It needs what only a connection has.
  }
}

interface Registration {
  readonly provider: object;
  readonly options: { readonly lifecycle: Lifecycle };
}

/**
 * What the container would ask for to build what a token stands for: parameters of constructors, own and inherited, and
 * what a token is registered as. Delayed constructors are opened. What a factory asks for cannot be seen.
 */
export function dependenciesOf(container: DependencyContainer, token: unknown): readonly unknown[] {
  const registrations = registrationsOf(container, token);
  const classes = registrations.map(({ provider }) => opened(Reflect.get(provider, 'useClass')));
  const tokens = registrations.map(({ provider }) => opened(Reflect.get(provider, 'useToken')));
  const built = registrations.length === 0 ? [token] : classes.filter((one) => one === token);
  const parameters = built.filter(isClass).flatMap((one) => parameterTokens(one).map(opened));
  return [...parameters, ...classes, ...tokens].filter((one) => one !== token && isToken(one));
}

export function hasLifecycle(container: DependencyContainer, token: unknown, lifecycle: Lifecycle): boolean {
  return registrationsOf(container, token).some(({ options }) => options.lifecycle === lifecycle);
}

/** Whether every connection has one of its own. */
export function isOfConnection(container: DependencyContainer, token: unknown): boolean {
  return hasLifecycle(container, token, Lifecycle.ContainerScoped);
}

export function nameOf(token: unknown): string {
  return isClass(token) ? token.name : typeof token === 'string' ? `"${token}"` : String(token);
}

/** tsyringe keeps its registrations to itself. */
function registrationsOf(container: DependencyContainer, token: unknown): readonly Registration[] {
  const find: unknown = Reflect.get(container, 'getAllRegistrations');
  const found: unknown = typeof find === 'function' ? find.call(container, token) : undefined;
  return Array.isArray(found) ? found : [];
}

/** The class behind `delay(() => TheClass)`. */
function opened(token: unknown): unknown {
  const wrap: unknown = typeof token === 'object' && token !== null ? Reflect.get(token, 'wrap') : undefined;
  return typeof wrap === 'function' ? wrap() : token;
}

function isToken(token: unknown): boolean {
  return isClass(token) || typeof token === 'string' || typeof token === 'symbol';
}

function isClass(token: unknown): token is ConcreteClass {
  return typeof token === 'function' && token !== Object && token !== Function;
}

/** What the container would hand to a constructor, its own or inherited: classes, and the tokens of `@inject`. */
export function parameterTokens(provider: ConcreteClass): readonly unknown[] {
  const types: readonly unknown[] = Reflect.getMetadata('design:paramtypes', provider) ?? [];
  const parameters = [...types];
  const named: Readonly<Record<string, unknown>> = Reflect.getOwnMetadata(injected, provider) ?? {};
  for (const [position, token] of Object.entries(named)) parameters[Number(position)] = token;
  return Array.from(parameters, tokenOf);
}

/** Where tsyringe keeps the tokens of `@inject` by their positions, also where the compiler wrote no types down. */
const injected = 'injectionTokens';

/** tsyringe puts a description in the place of the type where `@inject` stands. */
function tokenOf(parameter: unknown): unknown {
  return typeof parameter === 'object' && parameter !== null && 'token' in parameter ? parameter.token : parameter;
}
