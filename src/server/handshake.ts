import type { DependencyContainer } from 'tsyringe';
import type { ConnectionRegistry, PendingHandshake } from '../authentication/connection-registry.js';
import { secretsOf, withoutSecrets } from '../authentication/secrets.js';
import type { Deadlines } from '../clock.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ErrorTranslator } from '../dispatch/error-mapping.js';
import { ApiError, ConfigurationError, HandshakeTimedOut, NotFound, ParseError, PermissionDenied } from '../errors.js';
import type { Logger } from '../logger.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { offeredSubprotocols, originOf, standingSubprotocol } from '../scope/headers.js';
import type { RouteParameters } from '../scope/route-parameters.js';
import { type HandshakeRequest, hostOf, pathOf, Scope } from '../scope/scope.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import { checkParameters } from './parameter-check.js';
import type { ConnectionLimiter, ConnectionSlot } from './rate-limit.js';
import type { CompiledRoute, Match, Router } from './router.js';
import type { TrustedProxies } from './trusted-proxies.js';

/** A handshake that was granted. */
export interface Admission {
  readonly route: CompiledRoute;
  readonly scope: Scope;
  readonly slot: ConnectionSlot;
  /** Streams whose permission refused; the others live. */
  readonly refused: ReadonlyMap<string, ApiError>;
  /** What came since the last check; the registry applies it where the connection opens. */
  readonly pending: PendingHandshake;
}

type Prepare = ((scope: Scope) => void) | undefined;

/** A scope, and the streams that refuse it. */
type Authorized = Pick<Admission, 'scope' | 'refused'>;

/**
 * Upgrade request -> connection, past one guard after the other: room, route, origin, parameters, scope, permissions to connect,
 * subprotocol, commands meanwhile, room for the user.
 */
export class Handshake {
  constructor(
    private readonly router: Router,
    private readonly proxies: TrustedProxies,
    private readonly limiter: ConnectionLimiter,
    private readonly registry: ConnectionRegistry,
    private readonly container: DependencyContainer,
    private readonly unitOfWork: UnitOfWork,
    private readonly errors: ErrorTranslator,
    private readonly disposer: ScopeDisposer,
    private readonly deadlines: Deadlines,
    private readonly logger: Logger,
    private readonly settings: Settings,
  ) {}

  /** Whether a route leads there. */
  serves(url: string): boolean {
    return this.router.match(url) !== undefined;
  }

  /** The patterns of all routes, as they were declared. */
  get paths(): readonly string[] {
    return this.router.routes.map(({ path }) => path);
  }

  /** What a refusal says beside its sentence: a 401 names the scheme by which a client may authenticate (RFC 9110, 11.6.1). */
  refusalHeaders(url: string, { status }: ApiError): Readonly<Record<string, string>> {
    if (status !== Status.unauthorized) return {};
    const middleware = this.router.match(url)?.route.middleware ?? [];
    const challenges = new Set(middleware.flatMap(({ challenge }) => challenge ?? []));
    return challenges.size === 0 ? {} : { 'WWW-Authenticate': [...challenges].join(', ') };
  }

  /**
   * Admits at once where no middleware, schema or permission has to be asked. The caller opens a connection with the admission,
   * it, or gives it back by `refuse`.
   *
   * @param prepare sets facts of the scope after the middleware ran
   * @throws ApiError whose status and sentence refuse the upgrade
   */
  admit(request: HandshakeRequest, prepare: Prepare): Promise<Admission> | Admission {
    const from = this.proxies.seenThrough(request);
    const slot = this.limiter.enter(from.network);
    const pending = this.registry.begin();
    try {
      const match = this.#match(from);
      if (!match.route.isOpen) return this.#admitLater(match, from, prepare, slot, pending);
      const scope = this.#scopeOf(from, match, match.route.noParameters);
      prepare?.(scope);
      return this.#admission({ scope, refused: noRefusals }, match, slot, pending);
    } catch (thrown) {
      throw this.#refusal(thrown, request, slot, pending);
    }
  }

  async #admitLater(
    match: Match,
    request: HandshakeRequest,
    prepare: Prepare,
    slot: ConnectionSlot,
    pending: PendingHandshake,
  ): Promise<Admission> {
    let authorized: Authorized | undefined;
    try {
      const authorizing = this.unitOfWork.run(() => this.#authorize(match, request, prepare));
      authorized = await this.#inTime(authorizing, request);
      return this.#admission(authorized, match, slot, pending);
    } catch (thrown) {
      if (authorized) await this.disposer.dispose(authorized.scope);
      throw this.#refusal(thrown, request, slot, pending);
    }
  }

  /** What the handshake has read may have been overtaken meanwhile. */
  #admission(authorized: Authorized, match: Match, slot: ConnectionSlot, pending: PendingHandshake): Admission {
    const { scope, refused } = authorized;
    const { route } = match;
    scope.subprotocol = agreedSubprotocol(scope, route);
    const identity = this.registry.check(pending, scope);
    slot.takeFor(identity?.userId);
    return { route, scope, slot, refused, pending };
  }

  /** Gives back an admission of which no connection came. */
  async refuse({ scope, slot, pending }: Admission): Promise<void> {
    slot.leave();
    this.registry.ended(pending);
    await this.disposer.dispose(scope);
  }

  #refusal(thrown: unknown, request: HandshakeRequest, slot: ConnectionSlot, pending: PendingHandshake): ApiError {
    slot.leave();
    this.registry.ended(pending);
    return this.translate(thrown, request);
  }

  #match(request: HandshakeRequest): Match {
    // RFC 9112, 3.2. A client without an address does not speak HTTP.
    if (request.remoteAddress !== undefined && request.host === undefined)
      throw new ParseError('Name the host: the Host header is missing, or no host.');
    const match = this.router.match(request.url);
    if (!match)
      throw new NotFound('Nothing is served at this path.', { remedy: `Served are ${this.paths.join(', ')}.` });
    checkOrigin(request, this.settings.origins);
    return match;
  }

  async #authorize(match: Match, request: HandshakeRequest, prepare: Prepare): Promise<Authorized> {
    const { route } = match;
    const parameters = route.hasParameters ? await checkParameters(match, request) : route.noParameters;
    const scope = this.#scopeOf(request, match, parameters);
    try {
      for (const piece of route.middleware) {
        const middleware: Partial<ScopeMiddleware> & object = scope.container.resolve(piece);
        if (typeof middleware.apply !== 'function') throw withoutApply(piece);
        await middleware.apply(scope);
      }
      prepare?.(scope);
      const translate = (thrown: unknown): ApiError => this.translate(thrown, request);
      return { scope, refused: await refusalsOf(route, scope, translate) };
    } catch (error) {
      await this.disposer.dispose(scope);
      throw error;
    }
  }

  #scopeOf(request: HandshakeRequest, { params }: Match, parameters: RouteParameters): Scope {
    return new Scope(request, params, this.container, parameters);
  }

  /** What comes later than `handshakeTimeLimit` reaches no client: a scope is disposed of, an error is logged. */
  #inTime(authorizing: Promise<Authorized>, request: HandshakeRequest): Promise<Authorized> {
    return this.deadlines.limit(authorizing, {
      milliseconds: this.settings.handshakeTimeLimit,
      error: () => {
        this.logger.warn('A handshake exceeded its time limit.', { handshake: pathOf(request) });
        authorizing.then(
          ({ scope }) => this.disposer.dispose(scope),
          (thrown) => this.translate(thrown, request),
        );
        const remedy = 'See what middleware and permissions wait for, or raise settings.handshakeTimeLimit.';
        return new HandshakeTimedOut(undefined, { retryAfter: 1_000, remedy });
      },
    });
  }

  /** An error may bear what the client proved itself with. */
  translate(thrown: unknown, request: HandshakeRequest): ApiError {
    const shown = thrown instanceof ApiError ? thrown : withoutSecrets(thrown, secretsOf(request));
    return this.errors.translate(shown, { handshake: pathOf(request) });
  }
}

const noRefusals: ReadonlyMap<string, ApiError> = new Map();

/**
 * Asks the permissions to connect of every stream. Behind a demultiplexer the connection is refused only if all streams refuse.
 *
 * @param translate makes an error for the client of what a permission throws
 * @returns the streams that refuse; a promise only where a permission has to be asked
 * @throws the refusal of the only consumer, or of the first stream where all refuse
 */
export function refusalsOf(
  { consumers }: CompiledRoute,
  scope: Scope,
  translate: (thrown: unknown) => ApiError,
): Promise<ReadonlyMap<string, ApiError>> | ReadonlyMap<string, ApiError> {
  if (!(consumers instanceof Map)) {
    const { permissions } = consumers as CompiledConsumer;
    return permissions.isOpen ? noRefusals : permissions.checkConnect(scope).then(() => noRefusals);
  }
  for (const { permissions } of consumers.values())
    if (!permissions.isOpen) return askEach(consumers, scope, translate);
  return noRefusals;
}

async function askEach(
  consumers: ReadonlyMap<string, CompiledConsumer>,
  scope: Scope,
  translate: (thrown: unknown) => ApiError,
): Promise<ReadonlyMap<string, ApiError>> {
  const refused = new Map<string, ApiError>();
  for (const [stream, { permissions }] of consumers) {
    try {
      await permissions.checkConnect(scope);
    } catch (thrown) {
      refused.set(stream, translate(thrown));
    }
  }
  const [first] = refused.values();
  if (first && refused.size === consumers.size) throw first;
  return first ? refused : noRefusals;
}

/**
 * Browsers send cookies along with a socket that any page opens (cross-site WebSocket hijacking), and they tell which page
 * it is by the Origin header. Other clients send none, and could send any: what a cookie proves is not enough then, and its
 * middleware says so.
 *
 * @throws PermissionDenied
 */
export function checkOrigin(request: HandshakeRequest, allowed: Settings['origins']): void {
  const { headers } = request;
  if (allowed === 'any' || headers.origin === undefined) return;
  const origin = originOf(headers.origin);
  if (origin !== undefined && (allowed === 'same' ? isSame(origin, request) : allowed.includes(origin))) return;
  throw new PermissionDenied('This page may not connect here.', { remedy: remedyFor(origin, allowed) });
}

function remedyFor(origin: string | undefined, allowed: Exclude<Settings['origins'], 'any'>): string {
  const setting = `settings.origins, which is ${JSON.stringify(allowed)}`;
  if (origin === undefined) return `Only "any" would do for ${setting}.`;
  const proxy =
    allowed === 'same'
      ? ', or let the proxy in between keep the Host header, or list it in settings.trustedProxies if it sends X-Forwarded-Host'
      : '';
  return `Add "${origin}" to ${setting}${proxy}.`;
}

/**
 * A page with TLS passes also where the client seems to come without it: many proxies do not tell, or tell how they came
 * themselves. Where it is known to be TLS, a page without it is another origin.
 */
function isSame(origin: string, request: HandshakeRequest): boolean {
  const { protocol, host: page } = new URL(origin);
  if (request.encrypted && protocol !== 'https:') return false;
  const here = `${protocol}//${hostOf(request)}`;
  return hostOf(request) !== undefined && URL.canParse(here) && new URL(here).host === page;
}

/**
 * Browsers cut a socket whose server agrees on none of the subprotocols that they offered, and on one that they did not
 * offer. So a client that offers some is given one of them, or refused with the reason while there is still an HTTP answer. A token is never
 * agreed on, because the answer would echo it.
 *
 * @throws ParseError (400) where all that is offered is foreign to the consumers of the route, or a token
 */
function agreedSubprotocol(scope: Scope, route: CompiledRoute): string | undefined {
  const { subprotocol: chosen } = scope;
  if (chosen === undefined && scope.headers['sec-websocket-protocol'] === undefined) return undefined;
  const { names, tokens } = offeredSubprotocols(scope.headers['sec-websocket-protocol']);
  if (chosen !== undefined) return checkOffered(chosen, names);
  const [preferred] = names;
  if (preferred === undefined) {
    if (tokens.length === 0) return undefined;
    throw new ParseError(`Offer a subprotocol beside the token, such as ${standingSubprotocol}.`);
  }
  const { subprotocols: spoken } = route;
  if (spoken.length === 0) return preferred;
  const agreed = [...spoken, standingSubprotocol].find((subprotocol) => names.includes(subprotocol));
  if (agreed !== undefined) return agreed;
  throw new ParseError(`None of the offered subprotocols is spoken here. There are: ${spoken.join(', ')}.`);
}

function checkOffered(chosen: string, offered: readonly string[]): string {
  if (offered.includes(chosen)) return chosen;
  throw new ConfigurationError({
    class: 'Scope',
    member: 'subprotocol',
    reason: `a middleware chose "${chosen}", which the client does not offer.`,
    remedy: 'Choose one of scope.subprotocols, or none.',
  });
}

/** `apply` may be a field, so that only the instance shows whether it is there. */
function withoutApply(piece: ScopeMiddlewareClass): ConfigurationError {
  return new ConfigurationError({
    class: piece.name,
    member: 'apply',
    reason: 'is not there, and is what middleware is called by.',
    remedy: 'Write it: async apply(scope: Scope) { … }.',
  });
}
