import { inject, injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import { PermissionDenied } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { offeredSubprotocols } from '../scope/headers.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import {
  authenticate,
  authenticateStated,
  isOver,
  type SessionStore,
  type TokenVerifier,
  type UserStore,
} from './authentication.js';
import { Tickets } from './tickets.js';

/** Options of `cookieSession`. */
export interface CookieSessionOptions {
  /** Default `session`. */
  readonly cookie?: string;
  /**
   * Whether the cookie counts without an Origin header. Browsers always send one with an upgrade, so that a request without
   * it is either no browser or has lost what shows which page it comes from. Default false: such a request is refused (403).
   */
  readonly withoutOrigin?: boolean;
}

/**
 * Scope middleware: the session that a cookie names. A cookie whose session is over or unknown is as good as none, because
 * browsers send it unasked.
 *
 * ```ts
 * path('/ws/', RoomConsumer, { middleware: [cookieSession(Sessions)] })
 * ```
 */
export function cookieSession(
  store: ConcreteClass<SessionStore>,
  { cookie = 'session', withoutOrigin = false }: CookieSessionOptions = {},
): ScopeMiddlewareClass {
  @injectable()
  class CookieSession implements ScopeMiddleware {
    static readonly cookie = cookie;
    static readonly providers = [store];

    constructor(
      @inject(store) private readonly sessions: SessionStore,
      private readonly clock: Clock,
    ) {}

    async apply(scope: Scope): Promise<void> {
      const token = scope.cookies[cookie];
      if (scope.identity || !token) return;
      if (scope.headers['origin'] === undefined && !withoutOrigin)
        throw new PermissionDenied('A session cookie counts only beside an Origin header.');
      const found = await this.sessions.find(token);
      if (found && !isOver(found, this.clock.now())) authenticate(scope, found);
    }
  }
  return CookieSession;
}

/**
 * Scope middleware: `Authorization: Bearer <token>`, for clients that are no browsers. A token that proves nothing is refused
 * with 401; another scheme is left to another piece.
 *
 * ```ts
 * path('/ws/', RoomConsumer, { middleware: [bearerToken(ApiTokens)] })
 * ```
 */
export function bearerToken(verifier: ConcreteClass<TokenVerifier>): ScopeMiddlewareClass {
  @injectable()
  class BearerToken implements ScopeMiddleware {
    static readonly challenge = 'Bearer';
    static readonly providers = [verifier];

    constructor(
      @inject(verifier) private readonly tokens: TokenVerifier,
      private readonly clock: Clock,
    ) {}

    async apply(scope: Scope): Promise<void> {
      const token = tokenIn(scope.headers['authorization']);
      if (scope.identity || token === undefined) return;
      const proven = token === '' ? undefined : await this.tokens.verify(token);
      authenticateStated(scope, proven, { now: this.clock.now(), kind: 'token' });
    }
  }
  return BearerToken;
}

/** Empty where the scheme is there and no token (RFC 6750, 2.1) is. */
function tokenIn(header: string | string[] | undefined): string | undefined {
  if (typeof header !== 'string' || !/^bearer(\s|$)/i.test(header)) return undefined;
  const [, token = ''] = /^bearer +([\w\-.~+/]+=*) *$/i.exec(header) ?? [];
  return token;
}

/**
 * Scope middleware: a token that a browser offers as a subprotocol, `bearer.<token>`, beside one that is spoken:
 * `new WebSocket(url, ['signalbox', `bearer.${token}`])`. It is never agreed on, so that no answer echoes it. A token that
 * proves nothing, or a second one, is refused with 401.
 */
export function subprotocolToken(verifier: ConcreteClass<TokenVerifier>): ScopeMiddlewareClass {
  @injectable()
  class SubprotocolToken implements ScopeMiddleware {
    static readonly challenge = 'Bearer';
    static readonly providers = [verifier];

    constructor(
      @inject(verifier) private readonly tokens: TokenVerifier,
      private readonly clock: Clock,
    ) {}

    async apply(scope: Scope): Promise<void> {
      const { tokens } = offeredSubprotocols(scope.headers['sec-websocket-protocol']);
      const [token, second] = tokens;
      if (scope.identity || token === undefined) return;
      const proven = token === '' || second !== undefined ? undefined : await this.tokens.verify(token);
      authenticateStated(scope, proven, { now: this.clock.now(), kind: 'token' });
    }
  }
  return SubprotocolToken;
}

/**
 * Scope middleware: a ticket in the query, `/ws/?ticket=…`. It is good for one upgrade of the page that it was issued to, and
 * gone from `scope.query` afterwards. One that is not valid is refused with 401.
 */
export function queryTicket({ parameter = 'ticket' }: { readonly parameter?: string } = {}): ScopeMiddlewareClass {
  @injectable()
  class QueryTicket implements ScopeMiddleware {
    constructor(
      private readonly tickets: Tickets,
      private readonly clock: Clock,
    ) {}

    async apply(scope: Scope): Promise<void> {
      const ticket = scope.query.get(parameter);
      scope.query.delete(parameter);
      if (scope.identity || ticket === null) return;
      const identity = await this.tickets.redeem(ticket, scope.headers['origin']);
      authenticateStated(scope, identity, { now: this.clock.now(), kind: 'ticket' });
    }
  }
  return QueryTicket;
}

/**
 * Scope middleware: loads the user of the identity that a piece before it found, unless that piece brought the user along.
 * Where there is no such user any more, the request is anonymous.
 *
 * ```ts
 * path('/ws/', RoomConsumer, { middleware: [bearerToken(ApiTokens), identityUser(Users)] })
 * ```
 */
export function identityUser(store: ConcreteClass<UserStore>): ScopeMiddlewareClass {
  @injectable()
  class IdentityUser implements ScopeMiddleware {
    static readonly providers = [store];

    constructor(@inject(store) private readonly users: UserStore) {}

    async apply(scope: Scope): Promise<void> {
      if (!scope.identity || scope.user !== undefined) return;
      scope.user = (await this.users.find(scope.identity.userId)) ?? undefined;
      if (scope.user !== undefined) return;
      scope.identity = undefined;
      scope.session = undefined;
    }
  }
  return IdentityUser;
}
