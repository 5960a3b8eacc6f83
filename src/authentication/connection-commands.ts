import { type ApiError, NotAuthenticated, PermissionDenied } from '../errors.js';
import type { Identity } from '../scope/identity.js';
import { CloseCode } from '../status.js';

/** Whose connections are meant. */
export type ConnectionOwner = { readonly user: string } | { readonly session: string };

/** What is to become of the connections of a user or a session, in every process. */
export type ConnectionCommand =
  | { readonly kind: 'disconnect'; readonly owner: ConnectionOwner; readonly reason: string; readonly code: number }
  | { readonly kind: 'recheck'; readonly owner: ConnectionOwner };

export function concerns({ owner }: ConnectionCommand, identity: Identity | undefined): boolean {
  if (!identity) return false;
  return 'user' in owner ? String(identity.userId) === owner.user : identity.sessionId === owner.session;
}

/** @throws what refuses a user or session that one of these commands disconnects */
export function checkCommands(commands: readonly ConnectionCommand[], identity: Identity | undefined): void {
  for (const command of commands)
    if (command.kind === 'disconnect' && concerns(command, identity)) throw refusalOf(command);
}

export function refusalOf({ code, reason }: ConnectionCommand & { readonly kind: 'disconnect' }): ApiError {
  return code === CloseCode.forbidden ? new PermissionDenied(reason) : new NotAuthenticated(reason);
}
