import { inject, injectable } from 'tsyringe';
import { Clock } from '../clock.js';
import type { ConcreteClass } from '../metadata.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import { offeredSubprotocols } from '../scope/subprotocols.js';
import { authenticateStated, type TokenVerifier } from './authentication.js';

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
