import { secretsOf, withoutSecrets } from '../authentication/secrets.js';
import type { Clock } from '../clock.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { ApiError, HandshakeTimedOut, NotFound } from '../errors.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { ScopeBuilder } from '../scope/scope-builder.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { checkOrigin } from './origin-check.js';
import { checkParameters } from './parameter-check.js';
import type { CompiledRoute, Router } from './router.js';
import { agreedSubprotocol } from './subprotocol.js';

/** A handshake that was granted. */
export interface Admission {
  readonly route: CompiledRoute;
  readonly scope: Scope;
  /** Streams whose permission refused; the others live. */
  readonly refused: ReadonlyMap<string, ApiError>;
  readonly request: HandshakeRequest;
}

/** Nothing is refused. */
const none: ReadonlyMap<string, ApiError> = new Map();

export interface HandshakeParts {
  readonly router: Router;
  readonly scopes: ScopeBuilder;
  readonly clock: Clock;
  readonly unitOfWork: UnitOfWork;
  readonly errors: ErrorTranslator;
  readonly disposer: ScopeDisposer;
  readonly logger: Logger;
  readonly settings: Settings;
}

/** Upgrade request -> admission, in this order: route, origin, parameters, scope, permissions to connect, subprotocol. */
export class Handshake {
  readonly #parts: HandshakeParts;

  constructor(parts: HandshakeParts) {
    this.#parts = parts;
  }

  /** Whether a route leads there. */
  serves(url: string): boolean {
    return this.#parts.router.match(url) !== undefined;
  }

  /** What a refusal says beside its sentence: a 401 names the scheme by which a client may authenticate (RFC 9110, 11.6.1). */
  refusalHeaders(url: string, { status }: ApiError): Readonly<Record<string, string>> {
    if (status !== Status.unauthorized) return {};
    const middleware = this.#parts.router.match(url)?.route.middleware ?? [];
    const challenges = new Set(middleware.flatMap(({ challenge }) => challenge ?? []));
    return challenges.size === 0 ? {} : { 'WWW-Authenticate': [...challenges].join(', ') };
  }

  /** @throws ApiError whose status and sentence refuse the upgrade */
  async admit(request: HandshakeRequest, prepare?: (scope: Scope) => void): Promise<Admission> {
    const { unitOfWork } = this.#parts;
    try {
      return await this.#inTime(
        unitOfWork.run(() => this.#admit(request, prepare)),
        request,
      );
    } catch (thrown) {
      throw this.#translate(thrown, request);
    }
  }

  /**
   * Asks the permissions to connect again, for what is refused by now.
   *
   * @throws what refuses where every stream does
   */
  ask({ route, scope, request }: Admission): Promise<ReadonlyMap<string, ApiError>> {
    return this.#refusals(route, scope, request);
  }

  /** What comes later than `handshakeTimeLimit` reaches nobody: a scope is disposed of, an error is logged. */
  async #inTime(admission: Promise<Admission>, request: HandshakeRequest): Promise<Admission> {
    const { clock, settings, logger, disposer } = this.#parts;
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = clock.after(settings.handshakeTimeLimit, () => {
      logger.warn('A handshake exceeded its time limit.', { handshake: pathOf(request) });
      reject(new HandshakeTimedOut(undefined, { retryAfter: 1_000 }));
      admission.then(
        ({ scope }) => disposer.dispose(scope),
        (thrown) => this.#translate(thrown, request),
      );
    });
    try {
      return await Promise.race([admission, late]);
    } finally {
      timer.cancel();
    }
  }

  /** An error may bear what the client proved itself with. */
  #translate(thrown: unknown, request: HandshakeRequest): ApiError {
    const shown = thrown instanceof ApiError ? thrown : withoutSecrets(thrown, secretsOf(request));
    return this.#parts.errors.translate(shown, { handshake: pathOf(request) });
  }

  async #admit(request: HandshakeRequest, prepare: ((scope: Scope) => void) | undefined): Promise<Admission> {
    const { router, scopes, settings, disposer } = this.#parts;
    const match = router.match(request.url);
    if (!match) throw new NotFound('Nothing is served at this path.');
    checkOrigin(request, settings.origins);
    const { route, params } = match;
    const parameters = await checkParameters(match, request);
    const scope = await scopes.build(request, { params, parameters, middleware: route.middleware, prepare });
    try {
      const refused = await this.#refusals(route, scope, request);
      scope.subprotocol = agreedSubprotocol(scope, route);
      return { route, scope, refused, request };
    } catch (error) {
      await disposer.dispose(scope);
      throw error;
    }
  }

  /** Refuses the upgrade only if every stream refuses. */
  async #refusals(
    { consumers }: CompiledRoute,
    scope: Scope,
    request: HandshakeRequest,
  ): Promise<ReadonlyMap<string, ApiError>> {
    if (!(consumers instanceof Map)) {
      await (consumers as CompiledConsumer).permissions.checkConnect(scope);
      return none;
    }
    const refused = new Map<string, ApiError>();
    for (const [stream, { permissions }] of consumers) {
      const refusal = await this.#refusal(() => permissions.checkConnect(scope), request);
      if (refusal) refused.set(stream, refusal);
    }
    const [first] = refused.values();
    if (first && refused.size === consumers.size) throw first;
    return first ? refused : none;
  }

  async #refusal(ask: () => Promise<void>, request: HandshakeRequest): Promise<ApiError | undefined> {
    try {
      await ask();
      return undefined;
    } catch (thrown) {
      return this.#translate(thrown, request);
    }
  }
}

/** Without the query, where tickets stand: it is what logs show. */
function pathOf({ url }: HandshakeRequest): string {
  return url.split('?', 1)[0] ?? '';
}
