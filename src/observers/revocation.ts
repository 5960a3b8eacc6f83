import { type Class, MemberMetadata } from '../metadata.js';
import type { Signal } from '../signals/signal.js';
import type { LeaveOut } from './group-names.js';

/** The declaration that `@RevokedBy` wrote on a method that yields groups. */
export interface RevocationDeclaration {
  readonly observer: string;
  /** A function, because the entity may be defined after its consumer. */
  readonly model?: () => Class;
  readonly signal?: Signal<never>;
}

/** A method may serve several observers and several models. */
export const revocationDeclarations = new MemberMetadata<readonly RevocationDeclaration[]>('revoked-by');

/** A rule on which the permission of an observer's subscriptions depends. */
export interface Revocation {
  readonly model?: Class;
  readonly signal?: { readonly signal: Signal<never>; readonly atOnce: false };
  /**
   * The groups whose subscriptions are rechecked.
   *
   * @param leaveOut called for each name that is no group
   */
  groupsOf(changed: object, leaveOut: LeaveOut): Promise<string[]>;
}
