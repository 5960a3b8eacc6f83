import { type DependencyContainer, type InjectionToken, Lifecycle } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { dependenciesOf, hasLifecycle, isOfConnection, nameOf } from './dependencies.js';
import { Scope } from './scope.js';

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
