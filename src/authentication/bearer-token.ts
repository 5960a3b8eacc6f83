import { inject, injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import type { ConcreteClass } from '../metadata.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { authenticateStated, type TokenVerifier } from './authentication.js';

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
