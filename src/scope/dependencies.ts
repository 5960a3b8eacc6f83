import { type DependencyContainer, Lifecycle } from 'tsyringe';
import type { ConcreteClass } from '../metadata.js';
import { parameterTokens } from './parameter-tokens.js';

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
