import { type DependencyContainer, Lifecycle } from 'tsyringe';
import type { ConcreteClass } from '../metadata.js';

interface Registration {
  readonly provider: unknown;
  readonly options: { readonly lifecycle: Lifecycle };
}

/** What tsyringe's container asks itself for everything that it builds; no type of its tells. */
interface Workshop {
  construct(provider: ConcreteClass | object, context: unknown): object;
  resolveRegistration(registration: Registration, context: unknown): unknown;
  readonly disposables: Set<object>;
}

/** What was built in each container and has to be disposed, in the order of its construction. */
const built = new WeakMap<DependencyContainer, object[]>();

/**
 * The container of one connection. In three things it is not what tsyringe makes of a child:
 *
 * - A singleton is built by the root, whoever asks first. It never sees a connection, and never ends with one.
 * - Providers scoped to their container are the connection's own also where the root is older than their declaration.
 * - It knows the order in which it built what has to be disposed, and by which symbol. tsyringe disposes in the order of
 *   construction, all at once, and stops at the first that throws.
 */
export function connectionContainer(root: DependencyContainer): DependencyContainer {
  const container = root.createChildContainer();
  const shared = workshopOf(root);
  const own = workshopOf(container);
  const { construct, resolveRegistration } = own;
  const { register } = container;
  const copies = new Map<Registration, Registration>();
  const disposables: object[] = [];
  built.set(container, disposables);
  Object.assign(container, {
    construct(provider: ConcreteClass | object, context: unknown): object {
      const instance = construct.call(container, provider, context);
      // A delayed one is a proxy, which builds at the first touch; what it builds comes here as well.
      if (typeof provider !== 'function' || !hasToBeDisposed(instance)) return instance;
      disposables.push(instance);
      own.disposables.delete(instance);
      return instance;
    },
    resolveRegistration(registration: Registration, context: object): unknown {
      const { lifecycle } = registration.options;
      if (lifecycle === Lifecycle.Singleton) return shared.resolveRegistration(registration, freshLike(context));
      return resolveRegistration.call(container, ofConnection(registration, copies), context);
    },
    /** A singleton of this container is one of this connection. */
    register(token: never, provider: never, options: { lifecycle: Lifecycle } = { lifecycle: Lifecycle.Transient }) {
      const isOne = options.lifecycle === Lifecycle.Singleton;
      return register.call(container, token, provider, isOne ? { lifecycle: Lifecycle.ContainerScoped } : options);
    },
  });
  return container;
}

/** Takes the last that was built; what is built meanwhile comes before it. */
export function takeLastBuilt(container: DependencyContainer): object | undefined {
  return built.get(container)?.pop();
}

/** As tsyringe has it, `dispose` takes no parameters; a method that does is something else. */
export function isDisposable(instance: object): instance is { dispose(): unknown } {
  const dispose: unknown = Reflect.get(instance, 'dispose');
  return typeof dispose === 'function' && dispose.length === 0;
}

function hasToBeDisposed(instance: object): boolean {
  return Symbol.asyncDispose in instance || Symbol.dispose in instance || isDisposable(instance);
}

/** A registration holds its instance, and is the same for all containers below the one in which it was made. */
function ofConnection(registration: Registration, copies: Map<Registration, Registration>): Registration {
  if (registration.options.lifecycle !== Lifecycle.ContainerScoped) return registration;
  const { provider, options } = registration;
  const copy = copies.get(registration) ?? { provider, options };
  copies.set(registration, copy);
  return copy;
}

/** What is one per resolution in a connection must not be kept by a singleton. */
function freshLike(context: object): unknown {
  return Reflect.construct(context.constructor as ConcreteClass, []);
}

function workshopOf(container: DependencyContainer): Workshop {
  return container as unknown as Workshop;
}
