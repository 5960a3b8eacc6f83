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
