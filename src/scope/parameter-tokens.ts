import 'reflect-metadata';
import type { ConcreteClass } from '../metadata.js';

/** What the container would hand to a constructor, its own or inherited: classes, and the tokens of `@inject`. */
export function parameterTokens(provider: ConcreteClass): readonly unknown[] {
  const parameters: readonly unknown[] = Reflect.getMetadata('design:paramtypes', provider) ?? [];
  return parameters.map(tokenOf);
}

/** tsyringe puts a description in the place of the type where `@inject` stands. */
function tokenOf(parameter: unknown): unknown {
  return typeof parameter === 'object' && parameter !== null && 'token' in parameter ? parameter.token : parameter;
}
