import type { ConcreteClass } from '../metadata.js';
import type { Scope } from './scope.js';

/**
 * A provider that adds facts to a scope during the handshake, before any permission is asked. An ApiError it throws
 * refuses the upgrade with its status and sentence.
 *
 * ```ts
 * @injectable()
 * class SessionMiddleware implements ScopeMiddleware {
 *   constructor(private readonly em: EntityManager) {}
 *   async apply(scope: Scope) {
 *     const session = await this.em.findOne(Session, { id: scope.cookies.session ?? '' }, { populate: ['user'] });
 *     scope.user = session?.user;
 *   }
 * }
 * ```
 */
export interface ScopeMiddleware {
  apply(scope: Scope): Promise<void> | void;
}

export type ScopeMiddlewareClass = ConcreteClass<ScopeMiddleware>;
