import 'reflect-metadata';
import { type DependencyContainer, container as globalContainer, type InjectionToken, Lifecycle } from 'tsyringe';
import { checkClassIsOurs, findPackage, loadedModules, ownFolder, secondCopy } from '../copies.js';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { checkTsyringe } from './connection-container.js';
import { Scope } from './scope.js';

/** The remedy if there is a decorator, but no types. */
const withoutMetadata =
  'If it has a decorator, its compiler left the types out, as tsx and esbuild do: compile with tsc, or name what to inject: @inject(TheClass).';

/** Types of parameters that the container cannot use. */
const shapeless: ReadonlySet<unknown> = new Set([undefined, Object, Function]);

/** Types of values, which the container cannot make. */
const values: ReadonlySet<unknown> = new Set([String, Number, Boolean, BigInt, Symbol, Array, Date, Promise]);

/**
 * Checks that the container can build these providers and everything that they depend on, as far as declarations show: it cannot see what a
 * factory resolves, nor which class stands for an abstract one.
 *
 * @throws ConfigurationError for a token that is not registered, a parameter whose type does not exist at run time, and a class with
 * constructor parameters, its own or inherited, that no decorator describes to the container
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

/**
 * @throws ConfigurationError for a container of another copy of tsyringe, which does not know the classes that this copy's decorators
 * recorded
 */
export function checkContainer(container: DependencyContainer): void {
  checkTsyringe();
  if (container instanceof globalContainer.constructor) return;
  const others = [...tsyringes().keys()].filter((folder) => folder !== ownTsyringe());
  const place = others.length === 1 ? `, in ${others[0]}` : '';
  throw secondCopy('createApp.container', 'tsyringe', `comes from another copy${place}`, ownTsyringe());
}

/** The tokens on the way from a provider to one of its dependencies. */
type Way = readonly unknown[];

function unregistered(way: Way): ConfigurationError {
  const token = way.at(-1);
  return new ConfigurationError({
    class: nameOf(way.at(-2)),
    reason: `needs ${nameOf(token)}, but nothing is registered under that token${wayText(way)}.`,
    remedy: `Register it in the container of the application before createApp: container.register(${nameOf(token)}, { useClass: … }). If each connection has one of its own, register a factory that finds it by the Scope of the connection.`,
  });
}

/** The way to a provider that no consumer names directly, as text. */
function wayText(way: Way): string {
  return way.length > 1 ? `: ${shown(way)}` : '';
}

/** Whether the container calls the class' constructor to resolve the class. */
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
    reason: `has ${count === 1 ? '1 constructor parameter' : `${count} constructor parameters`}, but no decorator of its own recorded ${count === 1 ? 'its type' : 'their types'}, so the container would pass nothing to it${wayText(way)}.`,
    remedy: `Put @injectable() on it${way.length > 1 ? `, or register an instance: container.registerInstance(${provider.name}, …)` : ''}. ${withoutMetadata}`,
  });
}

function unknownParameter(way: Way, position: number, type: unknown): ConfigurationError {
  const provider = nameOf(way.at(-1));
  if (values.has(type)) {
    return new ConfigurationError({
      class: provider,
      reason: `the type of constructor parameter ${position + 1} is ${nameOf(type)}, which the container cannot make${wayText(way)}.`,
      remedy: `Name a token, and register a value under it: @inject('token') and container.registerInstance('token', …).`,
    });
  }
  return new ConfigurationError({
    class: provider,
    reason: `the type of constructor parameter ${position + 1} does not exist at run time: an import type, an interface or a circular import${wayText(way)}.`,
    remedy: 'Import the class as a value, or name a token: @inject(token).',
  });
}

/** The class whose constructor runs: a class without a constructor inherits it. */
function constructorOf(provider: ConcreteClass): ConcreteClass {
  const above: unknown = Object.getPrototypeOf(provider);
  return declaresConstructor(provider) || !isClass(above) ? provider : constructorOf(above);
}

/** Whether the class declares a constructor. Classes without the `class` syntax, such as those compiled to ES5, count as if they did. */
function declaresConstructor(provider: ConcreteClass): boolean {
  const text = String(provider);
  return provider.length > 0 || !text.startsWith('class') || /\bconstructor\s*\(/.test(text);
}

/**
 * Whether the container knows a class' constructor parameters: resolving the class then resolves its first parameter, which only happens if
 * a decorator recorded the class. Nothing is built for this check.
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
    // Either the parameter was resolved, or the constructor failed without it.
  }
  return isAsked;
}

/** The classes that the decorators of each loaded copy of tsyringe recorded. */
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
 * Builds every registered provider that these classes depend on, in the root container, to make sure before the first connection that their
 * dependencies exist. It skips providers that need a connection.
 *
 * @throws ConfigurationError for a singleton that would keep an object of one connection and serve it to all
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
      reason: 'is a singleton, but every connection needs a consumer of its own.',
      remedy: 'Remove @singleton() from it.',
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
      ? 'Remove @singleton() from it, or pass the scope to its methods.'
      : 'Remove @singleton() from it, or pass it to its methods.',
  });
}

/** @throws ConfigurationError for a serializer of events that needs a connection: there is none when an event is serialized */
export function checkShowsEvents(container: DependencyContainer, serializer: ConcreteClass): void {
  const way = wayTo(container, serializer, (token) => token === Scope);
  if (!way) return;
  throw new ConfigurationError({
    class: serializer.name,
    reason: `shows events, once per change and outside any connection, and depends on the scope of one: ${shown(way)}.`,
    remedy: 'Take the scope from context.request if there is a request, or observe with another serializer.',
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
    // It needs an object that only a connection has.
  }
}

interface Registration {
  readonly provider: object;
  readonly options: { readonly lifecycle: Lifecycle };
}

/**
 * What the container resolves to build the class of a token: the parameters of constructors, own and inherited, and what a token is
 * registered as. Delayed constructors are opened. It cannot see what a factory resolves.
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

/** Whether every connection has an instance of its own. */
function isOfConnection(container: DependencyContainer, token: unknown): boolean {
  return hasLifecycle(container, token, Lifecycle.ContainerScoped);
}

function nameOf(token: unknown): string {
  return isClass(token) ? token.name : typeof token === 'string' ? `"${token}"` : String(token);
}

/** The registrations of a token, which tsyringe keeps private. */
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

/** A constructor parameter, as the container resolves it. */
interface Parameter {
  /** A class, or a token of `@inject`; the class itself if it is delayed. */
  readonly token: unknown;
  /** The token that the container resolves first. */
  readonly asked: unknown;
  /** The class that makes the parameter from the resolved value. */
  readonly transform: unknown;
  /** Whether the parameter may be undefined if the token is not registered. */
  readonly isOptional: boolean;
}

/** The parameters of the class' own constructor, or of the inherited one. */
function parametersOf(provider: ConcreteClass): readonly Parameter[] {
  const isOwn = declaresConstructor(provider);
  const types: readonly unknown[] | undefined = isOwn
    ? Reflect.getOwnMetadata('design:paramtypes', provider)
    : Reflect.getMetadata('design:paramtypes', provider);
  const parameters = [...(types ?? [])];
  // tsyringe keeps the tokens of @inject by position, also if the compiler emitted no types.
  const named: Readonly<Record<string, unknown>> = Reflect.getOwnMetadata('injectionTokens', provider) ?? {};
  for (const [position, token] of Object.entries(named)) parameters[Number(position)] = token;
  return Array.from(parameters, parameterOf);
}

/** A parameter. With `@inject`, tsyringe replaces its type by a description. */
function parameterOf(parameter: unknown): Parameter {
  const isDescribed = typeof parameter === 'object' && parameter !== null && 'token' in parameter;
  const { token, transform, isOptional }: { token: unknown; transform?: unknown; isOptional?: boolean } = isDescribed
    ? parameter
    : { token: parameter };
  const isNamed = typeof token === 'string' || typeof token === 'symbol';
  return { token: opened(token), asked: transform ?? token, transform, isOptional: isNamed && isOptional === true };
}
