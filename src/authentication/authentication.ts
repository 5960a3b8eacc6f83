import { NotAuthenticated } from '../errors.js';
import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeSession, ScopeUser } from '../scope/scope-types.js';

/** What a credential proves: an identity, and the user and session that its store has already loaded. */
export interface Authentication {
  /** The user's key as text. */
  readonly userId: string;
  /** The key of the session as text; undefined if the credential has no session, as with a bearer token. */
  readonly sessionId?: string | undefined;
  /** When it expires; after that it authenticates no user. Undefined: never. */
  readonly expiresAt?: Date | undefined;
  /** Becomes `scope.user`. */
  readonly user?: ScopeUser | undefined;
  /** Becomes `scope.session`. */
  readonly session?: ScopeSession | undefined;
}

/**
 * A provider that finds the sessions of an application.
 *
 * ```ts
 * @injectable()
 * class Sessions implements SessionStore {
 *   constructor(private readonly em: EntityManager) {}
 *   async find(token: string) {
 *     const session = await this.em.findOne(Session, { id: hashOf(token) }, { populate: ['user'] });
 *     return session && { userId: String(session.user.id), sessionId: session.id, expiresAt: session.expiresAt, user: session.user };
 *   }
 * }
 * ```
 */
export interface SessionStore {
  /**
   * @param token the client's secret, such as the value of its cookie
   * @returns what the secret proves; undefined or null if there is no such session
   */
  find(token: string): Promise<Authentication | null | undefined>;
}

/** A provider that checks bearer tokens. */
export interface TokenVerifier {
  /**
   * Called in the handshake with the client's token.
   *
   * @returns what the token proves; undefined or null refuses the upgrade with 401. If it throws an ApiError, that refuses the upgrade with
   * its own status; any other error refuses it with 500
   */
  verify(token: string): Promise<Authentication | null | undefined>;
}

/** A provider that finds the users of an application. */
export interface UserStore {
  /** @returns the user; undefined or null if there is no such user, or if the user may not log in any more */
  find(userId: string): Promise<ScopeUser | null | undefined>;
}

/** Sets the user, session and identity of the connection in the scope. */
export function authenticate(scope: Scope, { user, session, ...proven }: Authentication): void {
  scope.identity = identityOf(proven);
  scope.user = user ?? undefined;
  scope.session = session ?? undefined;
}

/**
 * Authenticates the scope by a credential that the client states itself, unlike a cookie, which browsers send unasked.
 *
 * @param kind of the credential, for the refusal: `token`, `ticket`
 * @throws NotAuthenticated with the same sentence for everything that can be wrong with it
 */
export function authenticateStated(
  scope: Scope,
  proven: Authentication | null | undefined,
  { now, kind }: { readonly now: Date; readonly kind: string },
): void {
  if (!proven || isOver(proven, now)) throw new NotAuthenticated(`The ${kind} is not valid.`);
  authenticate(scope, proven);
}

/** Whether it has expired. An invalid date counts as expired. */
export function isOver({ expiresAt }: Pick<Authentication, 'expiresAt'>, now: Date): boolean {
  return expiresAt !== undefined && !(expiresAt > now);
}

/** The identity without the loaded user and session. */
export function identityOf({ userId, sessionId, expiresAt }: Authentication): Identity {
  return { userId, ...(sessionId !== undefined && { sessionId }), ...(expiresAt !== undefined && { expiresAt }) };
}
