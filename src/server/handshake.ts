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

/** A granted handshake. */
export interface Admission {
  readonly route: CompiledRoute;
  readonly scope: Scope;
  readonly slot: ConnectionSlot;
  /** Streams whose permission refused; the others are open. */
  readonly refused: ReadonlyMap<string, ApiError>;
  /** The commands since the last check; the registry applies them when the connection opens. */
  readonly pending: PendingHandshake;
}

type Prepare = ((scope: Scope) => void) | undefined;

/** A scope, and the streams that refuse it. */
type Authorized = Pick<Admission, 'scope' | 'refused'>;

/**
 * Turns an upgrade request into a connection, through one check after the other: limits, route, origin, parameters, scope, connect
 * permissions, subprotocol, commands since the start, limits of the user.
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

  /** Whether a route leads to the url. */
  serves(url: string): boolean {
    return this.router.match(url) !== undefined;
  }

  /** The patterns of all routes, as they were declared. */
  get paths(): readonly string[] {
    return this.router.routes.map(({ path }) => path);
  }

  /** The headers of a refusal: a 401 names the scheme by which a client may authenticate (RFC 9110, 11.6.1). */
  refusalHeaders(url: string, { status }: ApiError): Readonly<Record<string, string>> {
    if (status !== Status.unauthorized) return {};
    const middleware = this.router.match(url)?.route.middleware ?? [];
    const challenges = new Set(middleware.flatMap(({ challenge }) => challenge ?? []));
    return challenges.size === 0 ? {} : { 'WWW-Authenticate': [...challenges].join(', ') };
  }

  /**
   * Admits a request, synchronously if no middleware, schema or permission has to be asked. The caller opens a connection with the
   * admission, or gives it back by `refuse`.
   *
   * @param prepare sets facts of the scope after the middleware has run
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

  /** Makes the admission, after checking whether a command has made the facts of the handshake out of date. */
  #admission(authorized: Authorized, match: Match, slot: ConnectionSlot, pending: PendingHandshake): Admission {
    const { scope, refused } = authorized;
    const { route } = match;
    scope.subprotocol = agreedSubprotocol(scope, route);
    const identity = this.registry.check(pending, scope);
    slot.takeFor(identity?.userId);
    return { route, scope, slot, refused, pending };
  }

  /** Gives back an admission without a connection. */
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
    // RFC 9112, 3.2. A client without an address does not use HTTP.
    if (request.remoteAddress !== undefined && request.host === undefined)
      throw new ParseError('The Host header is missing or invalid.');
    const match = this.router.match(request.url);
    if (!match)
      throw new NotFound('Nothing is served at this path.', { remedy: `Served paths: ${this.paths.join(', ')}.` });
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

  /** Limits the handshake to `handshakeTimeLimit`. A later scope is disposed, a later error is logged. */
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

  /** Turns an error into one for the client, without the client's credentials, which the error may contain. */
  translate(thrown: unknown, request: HandshakeRequest): ApiError {
    const shown = thrown instanceof ApiError ? thrown : withoutSecrets(thrown, secretsOf(request));
    return this.errors.translate(shown, { handshake: pathOf(request) });
  }
}

const noRefusals: ReadonlyMap<string, ApiError> = new Map();

/**
 * Asks the connect permissions of every stream. Behind a demultiplexer the connection is refused only if all streams refuse.
 *
 * @param translate turns a permission's error into one for the client
 * @returns the streams that refuse; a promise only if a permission has to be asked
 * @throws the refusal of the only consumer, or of the first stream if all refuse
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
 * Checks the Origin header. Browsers send cookies with a socket that any page opens (cross-site WebSocket hijacking), and name the page by
 * the Origin header. Other clients send none, and could send any: then a cookie alone is not enough, and its middleware refuses it.
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
 * Whether the page belongs to the requested host. A page with TLS also passes if the client seems to come without it, because many proxies
 * do not report TLS, or report their own. If the client is known to use TLS, a page without it is another origin.
 */
function isSame(origin: string, request: HandshakeRequest): boolean {
  const { protocol, host: page } = new URL(origin);
  if (request.encrypted && protocol !== 'https:') return false;
  const here = `${protocol}//${hostOf(request)}`;
  return hostOf(request) !== undefined && URL.canParse(here) && new URL(here).host === page;
}

/**
 * Chooses the subprotocol. Browsers close a socket whose server selects none of the offered subprotocols, or one that was not offered. So a
 * client that offers some gets one of them, or is refused with the reason while an HTTP answer is still possible. A token is never
 * selected, because the answer would echo it.
 *
 * @throws ParseError (400) if the consumers of the route speak none of the offered ones, or if only tokens are offered
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
  throw new ParseError(`The server speaks none of the offered subprotocols. It speaks: ${spoken.join(', ')}.`);
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
    reason: 'is missing, and Signalbox calls middleware by it.',
    remedy: 'Write it: async apply(scope: Scope) { … }.',
  });
}
