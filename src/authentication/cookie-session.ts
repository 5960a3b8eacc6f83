import { inject, injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import { PermissionDenied } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { authenticate, isOver, type SessionStore } from './authentication.js';

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
