import type { ConcreteClass } from '../metadata.js';
import type { Scope } from './scope.js';

/**
 * A provider that adds facts to a scope during the handshake, before any permission is asked. If it throws an ApiError, the upgrade is
 * refused with that status and sentence.
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
  /**
   * Called once per handshake, after the earlier middleware has settled.
   *
   * @throws ApiError to refuse the upgrade with its status. Any other error refuses it with 500 and is logged
   */
  apply(scope: Scope): Promise<void> | void;
}

export interface ScopeMiddlewareTraits {
  /** The scheme by which a client may authenticate here; a 401 names it in `WWW-Authenticate`. */
  readonly challenge?: string;
  /** The cookie by which it authenticates. Browsers send cookies unasked, whichever page opens the socket. */
  readonly cookie?: string;
  /** Providers that the container builds for it; start-up checks them. */
  readonly providers?: readonly ConcreteClass[];
}

/**
 * The class of a middleware, for the options `middleware`: the container of the connection makes an instance. Refusals and start-up checks
 * read its static properties.
 */
export type ScopeMiddlewareClass = ConcreteClass<ScopeMiddleware> & ScopeMiddlewareTraits;
