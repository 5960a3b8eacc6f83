import 'reflect-metadata';
import { type DependencyContainer, container as globalContainer, type InjectionToken, Lifecycle } from 'tsyringe';
import { checkClassIsOurs, findPackage, loadedModules, ownFolder, secondCopy } from '../copies.js';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { checkTsyringe } from './connection-container.js';
import { Scope } from './scope.js';

/** What to do where the decorator is there and the types are not. */
const withoutMetadata =
  'If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).';

/** Types of parameters that tell the container nothing. */
const shapeless: ReadonlySet<unknown> = new Set([undefined, Object, Function]);

/** Types of values, of which a container makes none. */
const values: ReadonlySet<unknown> = new Set([String, Number, Boolean, BigInt, Symbol, Array, Date, Promise]);

/**
 * Whether the container can build these providers and all that they ask for, as far as declarations tell: what a factory asks for
 * cannot be seen, and neither can what an abstract class stands for.
 *
 * @throws ConfigurationError for a token that is not registered, a parameter whose type does not exist at run time, and a class that
 * has constructor parameters, its own or inherited, of which its decorators tell the container nothing
 */
export function checkProviders(container: DependencyContainer, providers: readonly ConcreteClass[]): void {
  const seen = new Set<unknown>([Scope]);
  const visit = (token: unknown, above: Way): void => {
    if (seen.has(token)) return;
    seen.add(token);
    const way = [...above, token];
    const registrations = registrationsOf(container, token);
    if (registrations.length === 0 && !isClass(token)) throw unregistered(way);
    if (isClass(token) && isBuilt(token, registrations)) checkBuildable(container, token, way);
    for (const dependency of dependenciesOf(container, token)) visit(dependency, way);
  };
  for (const provider of providers) visit(provider, []);
}

/** @throws ConfigurationError for a container of another copy of tsyringe, which knows no class that this one's decorators wrote down */
export function checkContainer(container: DependencyContainer): void {
  checkTsyringe();
  if (container instanceof globalContainer.constructor) return;
  const others = [...tsyringes().keys()].filter((folder) => folder !== ownTsyringe());
  const place = others.length === 1 ? `, in ${others[0]}` : '';
  throw secondCopy('createApp.container', 'tsyringe', `comes from another copy${place}`, ownTsyringe());
}

/** The tokens that lead from a provider to what it depends on. */
type Way = readonly unknown[];

function unregistered(way: Way): ConfigurationError {
  const token = way.at(-1);
  return new ConfigurationError({
    class: nameOf(way.at(-2)),
    reason: `asks for ${nameOf(token)}, and nothing is registered under that token${wayText(way)}.`,
    remedy: `Register it in the container of the application before createApp: container.register(${nameOf(token)}, { useClass: … }). If each connection has one of its own, register a factory that finds it by the Scope of the connection.`,
  });
}

/** How a provider is reached that no consumer names directly. */
function wayText(way: Way): string {
  return way.length > 1 ? `: ${shown(way)}` : '';
}

/** Whether the container calls the constructor of the class when it is asked for the class. */
function isBuilt(token: unknown, registrations: readonly Registration[]): boolean {
  return (
    registrations.length === 0 || registrations.some(({ provider }) => Reflect.get(provider, 'useClass') === token)
  );
}

function checkBuildable(container: DependencyContainer, provider: ConcreteClass, way: Way): void {
  checkClassIsOurs(provider);
  const parameters = parametersOf(provider);
  const position = parameters.findIndex(({ token }) => shapeless.has(token) || values.has(token));
  if (position !== -1) throw unknownParameter(way, position, parameters[position]?.token);
  const count = Math.max(constructorOf(provider).length, parameters.length);
  if (count === 0 || (parameters.length === count && knowsParameters(container, provider, parameters))) return;
  const other = [...tsyringes()].find(([folder, known]) => folder !== ownTsyringe() && known.has(provider));
  if (other) throw secondCopy(provider.name, 'tsyringe', `is decorated by the copy in ${other[0]}`, ownTsyringe());
  throw new ConfigurationError({
    class: provider.name,
    reason: `has ${count === 1 ? '1 constructor parameter' : `${count} constructor parameters`}, and no decorator of its own wrote down ${count === 1 ? 'its type' : 'their types'}, so that the container would hand it nothing${wayText(way)}.`,
    remedy: `Put @injectable() on it${way.length > 1 ? `, or register what stands for it: container.registerInstance(${provider.name}, …)` : ''}. ${withoutMetadata}`,
  });
}

function unknownParameter(way: Way, position: number, type: unknown): ConfigurationError {
  const provider = nameOf(way.at(-1));
  if (values.has(type)) {
    return new ConfigurationError({
      class: provider,
      reason: `the type of constructor parameter ${position + 1} is ${nameOf(type)}, of which the container makes none${wayText(way)}.`,
      remedy: `Name a token, and register a value under it: @inject('token') and container.registerInstance('token', …).`,
    });
  }
  return new ConfigurationError({
    class: provider,
    reason: `the type of constructor parameter ${position + 1} does not exist at run time: an import type, an interface or a circular import${wayText(way)}.`,
    remedy: 'Import the class as a value, or name a token: @inject(token).',
  });
}

/** The class whose constructor runs: a class without one of its own inherits it, and says that it takes no parameters. */
function constructorOf(provider: ConcreteClass): ConcreteClass {
  const above: unknown = Object.getPrototypeOf(provider);
  return declaresConstructor(provider) || !isClass(above) ? provider : constructorOf(above);
}

/** What is no class of the language, such as a function of a library compiled to ES5, is taken at its word. */
function declaresConstructor(provider: ConcreteClass): boolean {
  const text = String(provider);
  return provider.length > 0 || !text.startsWith('class') || /\bconstructor\s*\(/.test(text);
}

/**
 * Whether the container, asked for a class, goes on to ask for its first parameter: only a class that one of its own decorators wrote
 * down has parameters for it. Nothing is built to find out.
 */
function knowsParameters(
  container: DependencyContainer,
  provider: ConcreteClass,
  [first]: readonly Parameter[],
): boolean {
  const probe = container.createChildContainer();
  let isAsked = false;
  const noteAsked = (): never => {
    isAsked = true;
    throw new Error('Asked for; nothing has to be built.');
  };
  probe.register(provider, { useClass: provider });
  probe.register(first?.asked as InjectionToken, { useFactory: noteAsked });
  try {
    probe.resolve(provider);
  } catch {
    // Either the parameter was asked for, or the constructor failed without it.
  }
  return isAsked;
}

/** The classes that the decorators of each loaded copy of tsyringe wrote down. */
function tsyringes(): ReadonlyMap<string, ReadonlyMap<unknown, unknown>> {
  const loaded = loadedModules('tsyringe', 'dist/cjs/dependency-container.js');
  return new Map(
    [...loaded].flatMap(([folder, { typeInfo }]) => (typeInfo instanceof Map ? [[folder, typeInfo] as const] : [])),
  );
}

function ownTsyringe(): string {
  return findPackage('tsyringe', ownFolder)?.folder ?? 'tsyringe';
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
function dependenciesOf(container: DependencyContainer, token: unknown): readonly unknown[] {
  const registrations = registrationsOf(container, token);
  const classes = registrations.map(({ provider }) => opened(Reflect.get(provider, 'useClass')));
  const tokens = registrations.map(({ provider }) => opened(Reflect.get(provider, 'useToken')));
  const parameters =
    isClass(token) && isBuilt(token, registrations)
      ? parametersOf(token).filter(
          (one) => !one.isOptional || container.isRegistered(one.token as InjectionToken, true),
        )
      : [];
  const asked = parameters.flatMap(({ token: named, transform }) => [named, transform]);
  return [...asked, ...classes, ...tokens].filter((one) => one !== token && isToken(one));
}

function hasLifecycle(container: DependencyContainer, token: unknown, lifecycle: Lifecycle): boolean {
  return registrationsOf(container, token).some(({ options }) => options.lifecycle === lifecycle);
}

/** Whether every connection has one of its own. */
function isOfConnection(container: DependencyContainer, token: unknown): boolean {
  return hasLifecycle(container, token, Lifecycle.ContainerScoped);
}

function nameOf(token: unknown): string {
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

/** What a constructor asks the container for. */
interface Parameter {
  /** A class or a token of `@inject`, opened where it is delayed. */
  readonly token: unknown;
  /** What the container is asked for first. */
  readonly asked: unknown;
  /** The class that makes the parameter out of what the token stands for. */
  readonly transform: unknown;
  /** Whether undefined will do where the token is not registered. */
  readonly isOptional: boolean;
}

/** The parameters of its own constructor or of the inherited one. */
function parametersOf(provider: ConcreteClass): readonly Parameter[] {
  const isOwn = declaresConstructor(provider);
  const types: readonly unknown[] | undefined = isOwn
    ? Reflect.getOwnMetadata('design:paramtypes', provider)
    : Reflect.getMetadata('design:paramtypes', provider);
  const parameters = [...(types ?? [])];
  // tsyringe keeps the tokens of @inject by their positions, also where the compiler wrote no types down.
  const named: Readonly<Record<string, unknown>> = Reflect.getOwnMetadata('injectionTokens', provider) ?? {};
  for (const [position, token] of Object.entries(named)) parameters[Number(position)] = token;
  return Array.from(parameters, parameterOf);
}

/** tsyringe puts a description in the place of the type where `@inject` stands. */
function parameterOf(parameter: unknown): Parameter {
  const isDescribed = typeof parameter === 'object' && parameter !== null && 'token' in parameter;
  const { token, transform, isOptional }: { token: unknown; transform?: unknown; isOptional?: boolean } = isDescribed
    ? parameter
    : { token: parameter };
  const isNamed = typeof token === 'string' || typeof token === 'symbol';
  return { token: opened(token), asked: transform ?? token, transform, isOptional: isNamed && isOptional === true };
}
