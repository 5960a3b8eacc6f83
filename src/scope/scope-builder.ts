import type { DependencyContainer } from 'tsyringe';
import { connectionContainer } from './connection-container.js';
import { type HandshakeRequest, Scope } from './scope.js';
import type { ScopeDisposer } from './scope-disposal.js';
import type { ScopeMiddlewareClass } from './scope-middleware.js';

/** Upgrade request -> scope with a container of its own, or whatever a middleware refused with. */
export class ScopeBuilder {
  readonly #root: DependencyContainer;
  readonly #middleware: readonly ScopeMiddlewareClass[];
  readonly #disposer: ScopeDisposer;

  constructor(root: DependencyContainer, middleware: readonly ScopeMiddlewareClass[], disposer: ScopeDisposer) {
    this.#root = root;
    this.#middleware = middleware;
    this.#disposer = disposer;
  }

  /** @param prepare sets facts after the middleware ran; the testing kit logs users in this way */
  async build(
    request: HandshakeRequest,
    params: Readonly<Record<string, string>>,
    prepare: (scope: Scope) => void = () => {},
  ): Promise<Scope> {
    const container = connectionContainer(this.#root);
    const scope = new Scope(request, params, container);
    container.registerInstance(Scope, scope);
    try {
      for (const middleware of this.#middleware) await container.resolve(middleware).apply(scope);
      prepare(scope);
      return scope;
    } catch (error) {
      await this.#disposer.dispose(scope);
      throw error;
    }
  }
}
