import { type DependencyContainer, Lifecycle } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { parameterTokens } from './parameter-tokens.js';
import { Scope } from './scope.js';

/**
 * Builds, from the root container, every registered provider that these classes depend on. A singleton that were first
 * asked for by a connection would be disposed with it. Other providers that need a connection cannot be built here, and
 * are left to it.
 *
 * @throws ConfigurationError for a singleton that would keep the scope of whoever came first, for everybody
 */
export function buildSingletons(container: DependencyContainer, classes: readonly ConcreteClass[]): void {
  const seen = new Set<unknown>();
  const visit = (provider: ConcreteClass): void => {
    if (seen.has(provider)) return;
    seen.add(provider);
    for (const dependency of dependenciesOf(provider)) visit(dependency);
    if (isSingleton(container, provider)) checkFreeOfScope(provider);
    if (container.isRegistered(provider, true)) tryToResolve(container, provider);
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

function checkFreeOfScope(provider: ConcreteClass): void {
  const way = wayToScope(provider);
  if (!way) return;
  throw new ConfigurationError({
    class: provider.name,
    reason: `is a singleton and depends on the scope of one connection: ${way.map(({ name }) => name).join(' -> ')}.`,
    remedy: 'Take @singleton() off it, or hand the scope to its methods.',
  });
}

/** @throws ConfigurationError for a serializer of events that needs a connection: there is none when a change is shown */
export function checkShowsEvents(serializer: ConcreteClass): void {
  const way = wayToScope(serializer);
  if (!way) return;
  throw new ConfigurationError({
    class: serializer.name,
    reason: `shows events, once per change and outside any connection, and depends on the scope of one: ${way.map(({ name }) => name).join(' -> ')}.`,
    remedy: 'Take the scope from context.request where there is a request, or observe with another serializer.',
  });
}

function wayToScope(
  provider: ConcreteClass,
  seen: Set<ConcreteClass> = new Set(),
): readonly ConcreteClass[] | undefined {
  if (provider === Scope) return [provider];
  if (seen.has(provider)) return undefined;
  seen.add(provider);
  for (const dependency of dependenciesOf(provider)) {
    const way = wayToScope(dependency, seen);
    if (way) return [provider, ...way];
  }
  return undefined;
}

function dependenciesOf(provider: ConcreteClass): ConcreteClass[] {
  return parameterTokens(provider).filter(
    (type): type is ConcreteClass => typeof type === 'function' && type !== Object && type !== Function,
  );
}

interface Registration {
  readonly options: { readonly lifecycle: Lifecycle };
}

/** tsyringe keeps the lifecycle of a registration to itself. */
function isSingleton(container: DependencyContainer, provider: ConcreteClass): boolean {
  const find: unknown = Reflect.get(container, 'getRegistration');
  if (typeof find !== 'function') return false;
  const registration: Registration | null = find.call(container, provider);
  return registration?.options.lifecycle === Lifecycle.Singleton;
}

function tryToResolve(container: DependencyContainer, provider: ConcreteClass): void {
  try {
    container.resolve(provider);
  } catch {
    // It needs what only a connection has.
  }
}
