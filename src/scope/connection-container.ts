import { type DependencyContainer, container as globalContainer, Lifecycle } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';

interface Registration {
  readonly provider: unknown;
  readonly options: { readonly lifecycle: Lifecycle };
}

/** The parts of tsyringe's container that its types do not show: what it holds, and what it calls to build instances. */
interface Workshop {
  readonly parent: Workshop;
  _registry: object;
  interceptors: object;
  disposables: Set<object>;
  construct(provider: ConcreteClass | object, context: object): object;
  resolveRegistration(registration: Registration, context: object): unknown;
  register(token: never, provider: never, options: Registration['options']): unknown;
  beforeResolution(...interceptor: readonly never[]): void;
  afterResolution(...interceptor: readonly never[]): void;
}

/** The class of tsyringe's containers, which tsyringe does not export. */
const Container = globalContainer.constructor as new (parent?: Workshop) => Workshop;

/** Methods that are overridden or read below. If another version of tsyringe renamed one, it would silently never be called. */
const methods = ['construct', 'resolveRegistration', 'register', 'beforeResolution', 'afterResolution'];
const fields = ['parent', '_registry', 'interceptors', 'disposables'];

/**
 * @throws ConfigurationError for a version of tsyringe that would build a singleton with the scope of the connection that resolves it first
 */
export function checkTsyringe(made: object = new Container(workshopOf(globalContainer))): void {
  const missing =
    methods.find((name) => typeof Reflect.get(made, name) !== 'function') ?? fields.find((name) => !(name in made));
  if (missing === undefined) return;
  throw new ConfigurationError({
    class: 'tsyringe',
    member: missing,
    reason: 'is missing. Signalbox does not know the containers of this version of tsyringe.',
    remedy: 'Install the version that Signalbox names among its peers: npm install tsyringe@4.10.',
  });
}

/** Every container makes these for itself; ours share them, because they stay empty there. */
const { interceptors, disposables } = new Container();

/**
 * The container of one connection. It differs in three points from a child container of tsyringe:
 *
 * - The root container builds a singleton, whichever container resolves it first. So it never sees a connection, and never ends with one.
 * - A provider scoped to its container has one instance per connection, also if the root container was made before its declaration.
 * - It records, in the order of construction, the instances that have to be disposed. tsyringe disposes all at once in that order, and
 *   stops at the first that throws.
 */
class ConnectionContainer extends Container {
  /** The instances that have to be disposed, in the order of their construction. */
  readonly built: object[] = [];
  #copies: Map<Registration, Registration> | undefined;

  constructor(root: DependencyContainer) {
    super(workshopOf(root));
    this._registry = workshopOf(root.createChildContainer())._registry;
    this.interceptors = interceptors;
    this.disposables = disposables;
  }

  override construct(provider: ConcreteClass | object, context: object): object {
    const instance = super.construct(provider, context);
    // A delayed instance is a proxy that builds on first access; the built instance is recorded here as well.
    if (typeof provider !== 'function' || !hasToBeDisposed(instance)) return instance;
    this.built.push(instance);
    this.disposables.delete(instance);
    return instance;
  }

  override resolveRegistration(registration: Registration, context: object): unknown {
    const { lifecycle } = registration.options;
    if (lifecycle === Lifecycle.Singleton) return this.parent.resolveRegistration(registration, freshLike(context));
    return super.resolveRegistration(this.#ownOf(registration), context);
  }

  /** A singleton of this container is one of this connection. */
  override register(token: never, provider: never, options = { lifecycle: Lifecycle.Transient }): unknown {
    const isOne = options.lifecycle === Lifecycle.Singleton;
    return super.register(token, provider, isOne ? { lifecycle: Lifecycle.ContainerScoped } : options);
  }

  override beforeResolution(...interceptor: readonly never[]): void {
    this.#ownInterceptors();
    super.beforeResolution(...interceptor);
  }

  override afterResolution(...interceptor: readonly never[]): void {
    this.#ownInterceptors();
    super.afterResolution(...interceptor);
  }

  #ownInterceptors(): void {
    if (this.interceptors === interceptors) this.interceptors = new Container().interceptors;
  }

  /**
   * A copy of the registration for this container. A registration holds its instance, and is the same object in all containers below the
   * one in which it was made.
   */
  #ownOf(registration: Registration): Registration {
    if (registration.options.lifecycle !== Lifecycle.ContainerScoped) return registration;
    const { provider, options } = registration;
    this.#copies ??= new Map();
    const copy = this.#copies.get(registration) ?? { provider, options };
    this.#copies.set(registration, copy);
    return copy;
  }
}

/** The container of a connection, which resolves its consumers, permissions and serializers. */
export function connectionContainer(root: DependencyContainer): DependencyContainer {
  return new ConnectionContainer(root) as unknown as DependencyContainer;
}

/** Removes and returns the last built instance; instances that are built meanwhile come first. */
export function takeLastBuilt(container: DependencyContainer): object | undefined {
  return container instanceof ConnectionContainer ? container.built.pop() : undefined;
}

/** Whether the instance has tsyringe's `dispose`, which takes no parameters; a method with parameters is something else. */
export function isDisposable(instance: object): instance is { dispose(): unknown } {
  const dispose: unknown = Reflect.get(instance, 'dispose');
  return typeof dispose === 'function' && dispose.length === 0;
}

function hasToBeDisposed(instance: object): boolean {
  return Symbol.asyncDispose in instance || Symbol.dispose in instance || isDisposable(instance);
}

/** A context without instances per resolution: those of a connection must not be kept by a singleton. */
function freshLike(context: object): object {
  return Reflect.construct(context.constructor as ConcreteClass, []);
}

function workshopOf(container: DependencyContainer): Workshop {
  return container as unknown as Workshop;
}
