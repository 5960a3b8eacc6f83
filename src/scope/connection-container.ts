import { type DependencyContainer, container as globalContainer, Lifecycle } from 'tsyringe';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';

interface Registration {
  readonly provider: unknown;
  readonly options: { readonly lifecycle: Lifecycle };
}

/** What tsyringe's container holds, and asks itself for everything that it builds; no type of its tells. */
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

/** The class of tsyringe's containers, which has no name outside. */
const Container = globalContainer.constructor as new (parent?: Workshop) => Workshop;

/** Each of them is overridden or read below; what another version called otherwise would never be called, without an error. */
const methods = ['construct', 'resolveRegistration', 'register', 'beforeResolution', 'afterResolution'];
const fields = ['parent', '_registry', 'interceptors', 'disposables'];

/** @throws ConfigurationError for a version of tsyringe in which a singleton would be built with the scope of the connection that asks first */
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

/** Made by every container for itself, and shared by ours, in which they stay empty. */
const { interceptors, disposables } = new Container();

/**
 * The container of one connection. In three things it is not what tsyringe makes of a child:
 *
 * - A singleton is built by the root container, whichever container asks first. It never sees a connection, and never ends with one.
 * - Providers scoped to their container are the connection's own also where the root is older than their declaration.
 * - It knows the order in which it built what has to be disposed, and by which symbol. tsyringe disposes in the order of
 *   construction, all at once, and stops at the first that throws.
 */
class ConnectionContainer extends Container {
  /** What has to be disposed, in the order of its construction. */
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
    // A delayed one is a proxy, which builds at the first touch; what it builds comes here as well.
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

  /** A registration holds its instance, and is the same for all containers below the one in which it was made. */
  #ownOf(registration: Registration): Registration {
    if (registration.options.lifecycle !== Lifecycle.ContainerScoped) return registration;
    const { provider, options } = registration;
    this.#copies ??= new Map();
    const copy = this.#copies.get(registration) ?? { provider, options };
    this.#copies.set(registration, copy);
    return copy;
  }
}

/** The container of a connection, from which its consumers, permissions and serializers are resolved. */
export function connectionContainer(root: DependencyContainer): DependencyContainer {
  return new ConnectionContainer(root) as unknown as DependencyContainer;
}

/** Takes the last that was built; what is built meanwhile comes before it. */
export function takeLastBuilt(container: DependencyContainer): object | undefined {
  return container instanceof ConnectionContainer ? container.built.pop() : undefined;
}

/** As tsyringe has it, `dispose` takes no parameters; a method that does is something else. */
export function isDisposable(instance: object): instance is { dispose(): unknown } {
  const dispose: unknown = Reflect.get(instance, 'dispose');
  return typeof dispose === 'function' && dispose.length === 0;
}

function hasToBeDisposed(instance: object): boolean {
  return Symbol.asyncDispose in instance || Symbol.dispose in instance || isDisposable(instance);
}

/** What is one per resolution in a connection must not be kept by a singleton. */
function freshLike(context: object): object {
  return Reflect.construct(context.constructor as ConcreteClass, []);
}

function workshopOf(container: DependencyContainer): Workshop {
  return container as unknown as Workshop;
}
