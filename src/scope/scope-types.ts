/**
 * Types that an application gives to its scope, by declaration merging:
 *
 * ```ts
 * declare module 'signalbox' {
 *   interface ScopeTypes { user: User; session: Session }
 * }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: applications fill it
export interface ScopeTypes {}

/** The type of `scope.user`: that of `ScopeTypes`, or unknown where the application declares none. */
export type ScopeUser = ScopeTypes extends { user: infer User } ? User : unknown;
/** The type of `scope.session`: that of `ScopeTypes`, or unknown where the application declares none. */
export type ScopeSession = ScopeTypes extends { session: infer Session } ? Session : unknown;

/**
 * The user and the session that an authenticated connection belongs to: plain facts, set by scope middleware, changed by a login or a logout in the
 * socket. `scope.user` is the application's own object; this is what sessions, limits and disconnects go by.
 */
export interface Identity {
  /** The user's key as text. */
  readonly userId: string;
  /** Absent where no session stands behind the connection: a bearer token, say. */
  readonly sessionId?: string;
  /** When it ends by itself. Absent: never. */
  readonly expiresAt?: Date;
}
