import type { ConnectionCommand, ConnectionOwner } from '../authentication/connection-registry.js';
import { type DisconnectCode, disconnecting, type Id, noUsers } from '../authentication/connections.js';
import { ConfigurationError } from '../errors.js';
import type { ModelChange } from '../log/entry.js';
import type { Logger } from '../logger.js';
import type { Class } from '../metadata.js';
import { isOfModel } from '../observers/event-publisher.js';
import { changedProperties } from '../orm/row.js';
import { restore, type UnitOfWork } from '../orm/unit-of-work.js';
import { Signal } from '../signals/signal.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { checkReason } from '../status.js';

/** One, several or none. */
type Ids = Id | readonly Id[] | null | undefined;

/** Whose connections a change or a signal concerns: those of users, of sessions, or both. */
export interface Concerned<Subject> {
  /** Keys of the users whose connections are meant; null, undefined and an empty array mean none. */
  readonly user?: (subject: Subject) => Ids;
  /** Keys of the sessions whose connections are meant; null, undefined and an empty array mean none. */
  readonly session?: (subject: Subject) => Ids;
}

/** Which signals `closeOn` and `recheckOn` heed. */
export interface SignalCondition<Payload> {
  /** Default: always. */
  readonly when?: (payload: Payload) => boolean;
}

/** Which changes of an entity `closeOn` and `recheckOn` heed. */
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

/** What `closeOn` closes connections with. */
export interface ClosingOptions {
  /** A sentence for the client, at most 123 bytes. Default: that they were logged out. */
  readonly reason?: string;
  /** Default 4401. */
  readonly code?: DisconnectCode;
}

/** What closes connections, or has them checked again. */
export interface ConnectionRule {
  /** `disconnect` of `closeOn`, `recheck` of `recheckOn`. */
  readonly kind: 'disconnect' | 'recheck';
  /** The entity or signal that it heeds. */
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

/** A subject as a rule's functions take it. */
type Asking = (subject: object, before?: object) => unknown;

/**
 * Does to the connections of this process what an application has declared that a commit does to them; every other process does the same
 * to its own. A rule that throws is logged.
 */
export class ConnectionRules {
  constructor(
    private readonly rules: readonly ConnectionRule[],
    private readonly command: (command: ConnectionCommand) => void,
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
  ) {}

  /** Whether one of them looks at changes of the rows of a class. */
  concern(entity: ModelChange['entity']): boolean {
    return this.rules.some((rule) => isOfModel({ entity }, modelOf(rule)));
  }

  /** Called for what was committed, and for nothing else. */
  apply(changes: readonly ModelChange[], signals: readonly SignalSent[]): void {
    for (const rule of this.rules) {
      for (const change of changes)
        if (isOfModel(change, modelOf(rule))) this.#guarded(rule, () => this.#change(rule, change));
      for (const sent of signals)
        if (signalOf(rule) === sent.signal && !sent.atOnce) this.#guarded(rule, () => this.#signal(rule, sent));
    }
  }

  #guarded(rule: ConnectionRule, work: () => void): void {
    try {
      this.unitOfWork.run(work);
    } catch (error) {
      const { name } = modelOf(rule) ?? { name: 'a signal' };
      this.logger.error('Connections could not be closed or checked again.', { of: name, error });
    }
  }

  #signal({ kind, options }: ConnectionRule, { payload }: SignalSent): void {
    if (options.when && !(options.when as Asking)(payload as object)) return;
    this.#act(kind, options, [payload as object]);
  }

  #change({ kind, options }: ConnectionRule, change: ModelChange): void {
    if (!counts(options, change)) return;
    const { entity, meta, schema, before, after } = change;
    const { em } = this.unitOfWork.of(entity);
    // Each in a fork of its own: in one, the row before and after would be one entity.
    const [was, is] = [before, after].map((row) => row && restore(em.fork(), meta, row, schema));
    const row = is ?? was;
    if (!row || (options.when && !(options.when as Asking)(row, was))) return;
    this.#act(kind, options, was && was !== row ? [row, was] : [row]);
  }

  /** A row that went from one user to another concerns both. */
  #act(
    kind: ConnectionRule['kind'],
    { user, session, reason, code }: ConnectionRule['options'],
    subjects: readonly object[],
  ): void {
    const owners: readonly ConnectionOwner[] = [
      ...[...idsOf(user, subjects)].map((id) => ({ user: id })),
      ...[...idsOf(session, subjects)].map((id) => ({ session: id })),
    ];
    for (const owner of owners) this.command(kind === 'recheck' ? { kind, owner } : disconnecting(owner, reason, code));
  }
}

function counts({ on, changed }: ConnectionRule['options'], { meta, before, after }: ModelChange): boolean {
  const event = before && after ? 'update' : after ? 'create' : 'delete';
  if (on && !on.includes(event)) return false;
  if (!changed || !before || !after) return true;
  const properties = changedProperties(meta, before, after);
  return (changed as readonly string[]).some((name) => properties.has(name));
}

function idsOf(ask: ((subject: never) => unknown) | undefined, subjects: readonly object[]): ReadonlySet<string> {
  if (!ask) return new Set();
  const found = subjects.flatMap((subject) => (ask as Asking)(subject) ?? []);
  return new Set(found.map(String));
}

/** @throws ConfigurationError for a rule that could never do anything, or would fail each time */
export function checkConnectionRules(
  rules: readonly ConnectionRule[],
  { hasUsers, unitOfWork }: { readonly hasUsers: boolean; readonly unitOfWork: UnitOfWork },
): void {
  for (const rule of rules) {
    const { kind, options } = rule;
    if (kind === 'recheck' && !hasUsers) throw noUsers();
    if (!options.user && !options.session) throw fault(rule, 'names no user and no session.', 'Give user or session.');
    if (options.reason !== undefined) checkReason(options.reason);
    checkColumns(rule, unitOfWork);
  }
}

function checkColumns(rule: ConnectionRule, unitOfWork: UnitOfWork): void {
  const model = modelOf(rule);
  if (!model) return;
  const columns = unitOfWork.of(model).columnsOf(model);
  if (!columns) throw fault(rule, 'is no entity of the application.', 'Name one, or a Signal.');
  const changed: readonly string[] = rule.options.changed ?? [];
  const unknown = changed.find((name) => !columns.has(name));
  if (unknown === undefined) return;
  throw fault(
    rule,
    `waits for a change of "${unknown}", which is no column.`,
    `There are: ${[...columns].join(', ')}.`,
  );
}

function fault(rule: ConnectionRule, reason: string, remedy: string): ConfigurationError {
  const name = rule.kind === 'recheck' ? 'recheckOn' : 'closeOn';
  return new ConfigurationError({ class: name, member: modelOf(rule)?.name ?? 'signal', reason, remedy });
}
