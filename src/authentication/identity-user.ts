import { inject, injectable } from 'tsyringe';
import type { ConcreteClass } from '../metadata.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeMiddleware, ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { UserStore } from './authentication.js';

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
