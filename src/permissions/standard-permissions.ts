import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { Permission, PermissionClass } from './permission.js';

/** Says yes to everyone. The default where an application declares no permissions. */
export class AllowAny implements Permission {
  canConnect(): boolean {
    return true;
  }

  hasPermission(): boolean {
    return true;
  }
}

/** Only while a user is logged in (`scope.user` or `scope.identity` is set), at connect and at every action. */
export class IsAuthenticated implements Permission {
  canConnect(scope: Scope): boolean {
    return isLoggedIn(scope);
  }

  hasPermission({ scope }: ActionContext): boolean {
    return isLoggedIn(scope);
  }
}

/** Whether a permission's answer depends on nothing but the connection, whatever rows change. */
export function knowsConnectionOnly(permission: PermissionClass): boolean {
  return permission === AllowAny || permission === IsAuthenticated;
}

/** A query that finds no user gives null, which means the same as undefined here. */
export function isLoggedIn(scope: Scope): boolean {
  const { user, identity } = scope;
  return (user !== undefined && user !== null) || identity !== undefined;
}
