import type { Scope } from './scope.js';

/** The key of whoever is logged in, for logs: nothing else of a user is anybody's business there. */
export function userKeyOf({ identity, user }: Scope): string | number | undefined {
  if (identity) return identity.userId;
  if (isKey(user)) return user;
  const id: unknown = typeof user === 'object' && user !== null && 'id' in user ? user.id : undefined;
  return isKey(id) ? id : undefined;
}

function isKey(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
