import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { type ApiError, NotFound } from '../errors.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ScopeBuilder } from '../scope/scope-builder.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { Settings } from '../settings.js';
import { checkOrigin } from './origin-check.js';
import type { CompiledRoute, Router } from './router.js';
import { agreedSubprotocol } from './subprotocol.js';

/** A handshake that was granted. */
export interface Admission {
  readonly route: CompiledRoute;
  readonly scope: Scope;
  /** Streams whose permission refused; the others live. */
  readonly refused: ReadonlyMap<string, ApiError>;
}

export interface HandshakeParts {
  readonly router: Router;
  readonly scopes: ScopeBuilder;
  readonly unitOfWork: UnitOfWork;
  readonly errors: ErrorTranslator;
  readonly disposer: ScopeDisposer;
  readonly settings: Settings;
}

/** Upgrade request -> admission, in this order: route, origin, scope, permissions to connect, subprotocol. */
export class Handshake {
  readonly #parts: HandshakeParts;

  constructor(parts: HandshakeParts) {
    this.#parts = parts;
  }

  /** Whether a route leads there. */
  serves(url: string): boolean {
    return this.#parts.router.match(url) !== undefined;
  }

  /** @throws ApiError whose status and sentence refuse the upgrade */
  async admit(request: HandshakeRequest, prepare?: (scope: Scope) => void): Promise<Admission> {
    const { unitOfWork, errors } = this.#parts;
    try {
      return await unitOfWork.run(() => this.#admit(request, prepare));
    } catch (thrown) {
      throw errors.translate(thrown, { handshake: request.url.split('?', 1)[0] });
    }
  }

  async #admit(request: HandshakeRequest, prepare: ((scope: Scope) => void) | undefined): Promise<Admission> {
    const { router, scopes, settings, disposer } = this.#parts;
    const match = router.match(request.url);
    if (!match) throw new NotFound('Nothing is served at this path.');
    checkOrigin(request, settings.origins);
    const scope = await scopes.build(request, match.params, prepare);
    try {
      const refused = await this.#refusals(match.route, scope);
      scope.subprotocol = agreedSubprotocol(scope, match.route);
      return { route: match.route, scope, refused };
    } catch (error) {
      await disposer.dispose(scope);
      throw error;
    }
  }

  /** Refuses the upgrade only if every stream refuses. */
  async #refusals({ consumers }: CompiledRoute, scope: Scope): Promise<ReadonlyMap<string, ApiError>> {
    const refused = new Map<string, ApiError>();
    if (!(consumers instanceof Map)) {
      await (consumers as CompiledConsumer).permissions.checkConnect(scope);
      return refused;
    }
    for (const [stream, { permissions }] of consumers) {
      const refusal = await this.#refusal(() => permissions.checkConnect(scope), scope);
      if (refusal) refused.set(stream, refusal);
    }
    const [first] = refused.values();
    if (first && refused.size === consumers.size) throw first;
    return refused;
  }

  async #refusal(ask: () => Promise<void>, scope: Scope): Promise<ApiError | undefined> {
    try {
      await ask();
      return undefined;
    } catch (thrown) {
      return this.#parts.errors.translate(thrown, { handshake: scope.path });
    }
  }
}
