import type { DependencyContainer } from 'tsyringe';
import type { Logger } from '../logger.js';
import { type HandshakeRequest, Scope } from './scope.js';
import { disposeScope } from './scope-disposal.js';
import type { ScopeMiddlewareClass } from './scope-middleware.js';

/** Upgrade request -> scope with a container of its own, or whatever a middleware refused with. */
export class ScopeBuilder {
  readonly #root: DependencyContainer;
  readonly #middleware: readonly ScopeMiddlewareClass[];
  readonly #logger: Logger;

  constructor(root: DependencyContainer, middleware: readonly ScopeMiddlewareClass[], logger: Logger) {
    this.#root = root;
    this.#middleware = middleware;
    this.#logger = logger;
  }

  /** @param prepare sets facts after the middleware ran; the testing kit logs users in this way */
  async build(
    request: HandshakeRequest,
    params: Readonly<Record<string, string>>,
    prepare: (scope: Scope) => void = () => {},
  ): Promise<Scope> {
    const container = this.#root.createChildContainer();
    const scope = new Scope(request, params, container);
    container.registerInstance(Scope, scope);
    try {
      for (const middleware of this.#middleware) await container.resolve(middleware).apply(scope);
      prepare(scope);
      return scope;
    } catch (error) {
      await disposeScope(scope, this.#logger);
      throw error;
    }
  }
}
