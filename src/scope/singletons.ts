import 'reflect-metadata';
import type { DependencyContainer } from 'tsyringe';
import type { ConcreteClass } from '../metadata.js';

/**
 * Builds, from the root container, every registered provider that these classes depend on. A singleton that were first
 * asked for by a connection would be built with that connection's scope, keep it for everybody, and be disposed with it.
 * Providers that need a connection cannot be built here, and are left to it.
 */
export function buildSingletons(container: DependencyContainer, classes: readonly ConcreteClass[]): void {
  const seen = new Set<unknown>();
  const visit = (provider: ConcreteClass): void => {
    if (seen.has(provider)) return;
    seen.add(provider);
    for (const dependency of dependenciesOf(provider)) visit(dependency);
    if (container.isRegistered(provider, true)) tryToResolve(container, provider);
  };
  for (const provider of classes) visit(provider);
}

function dependenciesOf(provider: ConcreteClass): ConcreteClass[] {
  const types: readonly unknown[] = Reflect.getMetadata('design:paramtypes', provider) ?? [];
  return types.filter(
    (type): type is ConcreteClass => typeof type === 'function' && type !== Object && type !== Function,
  );
}

function tryToResolve(container: DependencyContainer, provider: ConcreteClass): void {
  try {
    container.resolve(provider);
  } catch {
    // It needs what only a connection has.
  }
}
