import 'reflect-metadata';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';

/**
 * A class with constructor parameters and no decorator of its own is built by the container without a word, with nothing in
 * its parameters.
 *
 * @throws ConfigurationError
 */
export function checkProviders(providers: readonly ConcreteClass[]): void {
  for (const provider of providers) {
    if (provider.length === 0 || Reflect.hasOwnMetadata('design:paramtypes', provider)) continue;
    throw new ConfigurationError({
      class: provider.name,
      reason: `has ${provider.length} constructor parameter${provider.length === 1 ? '' : 's'} and no decorator of its own, so that the container would hand it nothing.`,
      remedy: 'Put @injectable() on it.',
    });
  }
}
