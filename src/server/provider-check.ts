import 'reflect-metadata';
import type { DependencyContainer, InjectionToken } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { parameterTokens } from '../scope/parameter-tokens.js';

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
    if (tokens.length > 0 && asksFor(container, provider, tokens[0] as InjectionToken)) continue;
    throw new ConfigurationError({
      class: provider.name,
      reason: `has ${count} constructor parameter${count === 1 ? '' : 's'} and no decorator of its own, so that the container would hand it nothing.`,
      remedy: 'Put @injectable() on it.',
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
