import type { DisconnectCode, Id } from '../authentication/connections.js';
import type { Class } from '../metadata.js';
import { Signal } from '../signals/signal.js';

/** One, several or none. */
type Ids = Id | readonly Id[] | null | undefined;

/** Whose connections a change or a signal concerns: those of users, of sessions, or both. */
export interface Concerned<Subject> {
  readonly user?: (subject: Subject) => Ids;
  readonly session?: (subject: Subject) => Ids;
}

export interface SignalCondition<Payload> {
  /** Default: always. */
  readonly when?: (payload: Payload) => boolean;
}

export interface ModelCondition<Entity> {
  /** An update counts only where one of these columns has changed. Default: any. */
  readonly changed?: readonly (keyof Entity & string)[];
  /** Default: all three. */
  readonly on?: readonly ('create' | 'update' | 'delete')[];
  /**
   * Default: always.
   *
   * @param row as the commit left it, or as it was where it is deleted
   * @param before undefined where it is created
   */
  readonly when?: (row: Entity, before: Entity | undefined) => boolean;
}

export interface ClosingOptions {
  /** A sentence for the client, at most 123 bytes. Default: that they were logged out. */
  readonly reason?: string;
  /** Default 4401. */
  readonly code?: DisconnectCode;
}

/** What closes connections, or has them checked again. */
export interface ConnectionRule {
  readonly kind: 'disconnect' | 'recheck';
  readonly source: Class | Signal<never>;
  readonly options: Concerned<never> & ModelCondition<never> & ClosingOptions;
}

/**
 * Closes the connections of whom a committed change, or a signal, concerns, in every process.
 *
 * ```ts
 * createApp({ …, connections: [
 *   closeOn(User, { user: (user) => user.id, changed: ['password'] }),
 *   closeOn(Session, { session: (session) => session.id, on: ['delete'] }),
 *   closeOn(banned, { user: ({ userId }) => userId, code: 4403, reason: 'You were banned.' }),   // a Signal<{ userId: number }>
 * ] });
 * ```
 */
export function closeOn<Entity extends object>(
  model: Class<Entity>,
  options: Concerned<Entity> & ModelCondition<Entity> & ClosingOptions,
): ConnectionRule;
export function closeOn<Payload>(
  signal: Signal<Payload>,
  options: Concerned<Payload> & SignalCondition<Payload> & ClosingOptions,
): ConnectionRule;
export function closeOn(source: object, options: object): ConnectionRule {
  return { kind: 'disconnect', source, options } as ConnectionRule;
}

/**
 * Loads users anew and asks the permissions to connect again for whom a committed change, or a signal, concerns. Where all
 * streams refuse the connection is closed with 4403, else single streams are. Needs `users`.
 *
 * ```ts
 * createApp({ …, users: Users, connections: [recheckOn(User, { user: (user) => user.id, changed: ['role'] })] });
 * ```
 */
export function recheckOn<Entity extends object>(
  model: Class<Entity>,
  options: Pick<Concerned<Entity>, 'user'> & ModelCondition<Entity>,
): ConnectionRule;
export function recheckOn<Payload>(
  signal: Signal<Payload>,
  options: Pick<Concerned<Payload>, 'user'> & SignalCondition<Payload>,
): ConnectionRule;
export function recheckOn(source: object, options: object): ConnectionRule {
  return { kind: 'recheck', source, options } as ConnectionRule;
}

export function modelOf({ source }: ConnectionRule): Class | undefined {
  return source instanceof Signal ? undefined : source;
}

export function signalOf({ source }: ConnectionRule): Signal<never> | undefined {
  return source instanceof Signal ? source : undefined;
}
