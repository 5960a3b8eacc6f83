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
  /**
   * Called once per handshake, after the middleware before it has settled.
   *
   * @throws ApiError that refuses the upgrade with its status. Any other error refuses it with 500 and is logged
   */
  apply(scope: Scope): Promise<void> | void;
}

export interface ScopeMiddlewareTraits {
  /** The scheme by which a client may authenticate here; a refusal with 401 names it in `WWW-Authenticate`. */
  readonly challenge?: string;
  /** The cookie by which it authenticates. Browsers send it unasked, whatever page opens the socket. */
  readonly cookie?: string;
  /** Providers that the container builds for it; they are checked when the application starts. */
  readonly providers?: readonly ConcreteClass[];
}

/**
 * What the options `middleware` take: the container of the connection makes an instance. Its static properties say what a refusal
 * and the checks at the start need.
 */
export type ScopeMiddlewareClass = ConcreteClass<ScopeMiddleware> & ScopeMiddlewareTraits;
