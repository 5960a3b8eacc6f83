import { type Class, MemberMetadata } from '../metadata.js';
import type { Signal } from '../signals/signal.js';
import type { LeaveOut } from './group-names.js';

/** What `@RevokedBy` wrote on a method that yields groups. */
export interface RevocationDeclaration {
  readonly observer: string;
  /** A function, because an entity may not be defined yet where its consumer is. */
  readonly model?: () => Class;
  readonly signal?: Signal<never>;
}

/** A method may serve several observers, and several models. */
export const revocationDeclarations = new MemberMetadata<readonly RevocationDeclaration[]>('revoked-by');

/** What the permission behind the subscriptions of one observer depends on. */
export interface Revocation {
  readonly model?: Class;
  readonly signal?: { readonly signal: Signal<never>; readonly atOnce: false };
  /** The groups whose subscriptions are asked again. @param leaveOut called for each name that is none */
  groupsOf(changed: object, leaveOut: LeaveOut): Promise<string[]>;
}
