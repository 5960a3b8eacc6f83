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

/** The type of `scope.user`, from `ScopeTypes`; unknown if the application declares none. */
export type ScopeUser = ScopeTypes extends { user: infer User } ? User : unknown;
/** The type of `scope.session`, from `ScopeTypes`; unknown if the application declares none. */
export type ScopeSession = ScopeTypes extends { session: infer Session } ? Session : unknown;

/**
 * The user and the session of an authenticated connection. Scope middleware sets it, and a login or logout in the socket changes it.
 * Sessions, limits and disconnects use the identity; `scope.user` is the application's own object.
 */
export interface Identity {
  /** The user's key as text. */
  readonly userId: string;
  /** The key of the session; undefined if the connection has none, as with a bearer token. */
  readonly sessionId?: string;
  /** When it expires. Undefined: never. */
  readonly expiresAt?: Date;
}
