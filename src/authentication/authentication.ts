import { NotAuthenticated } from '../errors.js';
import type { Scope } from '../scope/scope.js';
import type { Identity, ScopeSession, ScopeUser } from '../scope/scope-types.js';

/** What a credential proves: an identity, and what the store that knew it has already loaded. */
export interface Authentication {
  /** The user's key as text. */
  readonly userId: string;
  /** The key of the session as text; absent where no session stands behind the credential, as with a bearer token. */
  readonly sessionId?: string | undefined;
  /** When it ends by itself; after that it authenticates no user. Absent: never. */
  readonly expiresAt?: Date | undefined;
  /** Becomes `scope.user`, which is undefined where this is absent. */
  readonly user?: ScopeUser | undefined;
  /** Becomes `scope.session`, which is undefined where this is absent. */
  readonly session?: ScopeSession | undefined;
}

/**
 * A provider that knows the sessions of an application.
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
  /** @param token what the client holds, such as the value of its cookie */
  find(token: string): Promise<Authentication | null | undefined>;
}

/** A provider that checks bearer tokens. */
export interface TokenVerifier {
  /**
   * Called in the handshake, with the token of the client.
   *
   * @returns what the token proves; undefined or null refuses the upgrade with 401. An ApiError that it throws refuses it with its
   * own status, any other error with 500
   */
  verify(token: string): Promise<Authentication | null | undefined>;
}

/** A provider that knows the users of an application. */
export interface UserStore {
  /** Undefined or null where there is no such user, or none that may log in any more. */
  find(userId: string): Promise<ScopeUser | null | undefined>;
}

/** Notes in the scope whom the connection belongs to. */
export function authenticate(scope: Scope, { user, session, ...proven }: Authentication): void {
  scope.identity = identityOf(proven);
  scope.user = user ?? undefined;
  scope.session = session ?? undefined;
}

/**
 * Notes in the scope what a credential proves that the client states by itself, as no cookie is.
 *
 * @param kind of the credential, for the refusal: `token`, `ticket`
 * @throws NotAuthenticated with one sentence for all that can be wrong with it
 */
export function authenticateStated(
  scope: Scope,
  proven: Authentication | null | undefined,
  { now, kind }: { readonly now: Date; readonly kind: string },
): void {
  if (!proven || isOver(proven, now)) throw new NotAuthenticated(`The ${kind} is not valid.`);
  authenticate(scope, proven);
}

/** Whether it has ended by itself. One whose end is no date has. */
export function isOver({ expiresAt }: Pick<Authentication, 'expiresAt'>, now: Date): boolean {
  return expiresAt !== undefined && !(expiresAt > now);
}

/** The facts alone, without what was loaded along. */
export function identityOf({ userId, sessionId, expiresAt }: Authentication): Identity {
  return { userId, ...(sessionId !== undefined && { sessionId }), ...(expiresAt !== undefined && { expiresAt }) };
}
