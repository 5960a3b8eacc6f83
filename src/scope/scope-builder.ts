import type { DependencyContainer } from 'tsyringe';
import { connectionContainer } from './connection-container.js';
import type { RouteParameters } from './route-parameters.js';
import { type HandshakeRequest, Scope } from './scope.js';
import type { ScopeDisposer } from './scope-disposal.js';
import type { ScopeMiddlewareClass } from './scope-middleware.js';

/** What the route of a connection adds to its scope. */
export interface ScopePlan {
  readonly params: Readonly<Record<string, string>>;
  readonly parameters: RouteParameters;
  readonly middleware: readonly ScopeMiddlewareClass[];
  /** Sets facts after the middleware ran; the testing kit logs users in this way. */
  readonly prepare?: ((scope: Scope) => void) | undefined;
}

/** Upgrade request -> scope with a container of its own, or whatever a middleware refused with. */
export class ScopeBuilder {
  readonly #root: DependencyContainer;
  readonly #disposer: ScopeDisposer;

  constructor(root: DependencyContainer, disposer: ScopeDisposer) {
    this.#root = root;
    this.#disposer = disposer;
  }

  async build(request: HandshakeRequest, { params, parameters, middleware, prepare }: ScopePlan): Promise<Scope> {
    const container = connectionContainer(this.#root);
    const scope = new Scope(request, params, container, parameters);
    container.registerInstance(Scope, scope);
    try {
      for (const piece of middleware) await container.resolve(piece).apply(scope);
      prepare?.(scope);
      return scope;
    } catch (error) {
      await this.#disposer.dispose(scope);
      throw error;
    }
  }
}
