import type { Scope } from './scope.js';

/** The key of the user who is logged in, for logs: nothing else of a user belongs there. */
export function userKeyOf({ identity, user }: Scope): string | number | undefined {
  if (identity) return identity.userId;
  if (isKey(user)) return user;
  const id = idOf(user);
  return isKey(id) ? id : undefined;
}

/** A user of the application's making may throw when it is looked at; no request ends for that. */
function idOf(user: unknown): unknown {
  try {
    return typeof user === 'object' && user !== null && 'id' in user ? user.id : undefined;
  } catch {
    return undefined;
  }
}

function isKey(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
