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

/** One id, several or none. */
type Ids = Id | readonly Id[] | null | undefined;

/** The users or sessions whose connections a change or a signal concerns. */
export interface Concerned<Subject> {
  /** The keys of the users; null, undefined and an empty array mean none. */
  readonly user?: (subject: Subject) => Ids;
  /** The keys of the sessions; null, undefined and an empty array mean none. */
  readonly session?: (subject: Subject) => Ids;
}

/** The signals that `closeOn` and `recheckOn` react to. */
export interface SignalCondition<Payload> {
  /** Whether the rule applies to a payload. Default: always. */
  readonly when?: (payload: Payload) => boolean;
}

/** The changes of an entity that `closeOn` and `recheckOn` react to. */
export interface ModelCondition<Entity> {
  /** An update only counts if one of these columns has changed. Default: any column. */
  readonly changed?: readonly (keyof Entity & string)[];
  /** The kinds of changes. Default: all three. */
  readonly on?: readonly ('create' | 'update' | 'delete')[];
  /**
   * Whether the rule applies to a change. Default: always.
   *
   * @param row as the commit left it; for a deleted row, as it was
   * @param before undefined for a created row
   */
  readonly when?: (row: Entity, before: Entity | undefined) => boolean;
}

/** How `closeOn` closes connections. */
export interface ClosingOptions {
  /** A sentence for the client, at most 123 bytes. Default: that the user was logged out. */
  readonly reason?: string;
  /** The close code. Default: 4401. */
  readonly code?: DisconnectCode;
}

/** A rule that closes or rechecks connections. */
export interface ConnectionRule {
  /** `disconnect` of `closeOn`, `recheck` of `recheckOn`. */
  readonly kind: 'disconnect' | 'recheck';
  /** The entity or signal that it reacts to. */
  readonly source: Class | Signal<never>;
  /** The second argument of `closeOn` or `recheckOn`. */
  readonly options: Concerned<never> & ModelCondition<never> & ClosingOptions;
}

/**
 * Makes a rule that closes the connections which a committed change or a signal concerns, in every process.
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
 * Makes a rule that loads the users whom a committed change or a signal concerns again, and asks the connect permissions again. If all
 * streams refuse, the connection is closed with 4403, otherwise single streams are. Needs the option `users`.
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

/** A function of a rule, for any subject. */
type Asking = (subject: object, before?: object) => unknown;

/**
 * Applies the application's rules to the connections of this process when something is committed; every other process does so for its own.
 * The error of a rule is logged.
 */
export class ConnectionRules {
  constructor(
    private readonly rules: readonly ConnectionRule[],
    private readonly command: (command: ConnectionCommand) => void,
    private readonly unitOfWork: UnitOfWork,
    private readonly logger: Logger,
  ) {}

  /** Whether one of the rules reacts to changes of the class' rows. */
  concern(entity: ModelChange['entity']): boolean {
    return this.rules.some((rule) => isOfModel({ entity }, modelOf(rule)));
  }

  /** Called only for committed changes. */
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
    // Each row has a fork of its own: in one fork, the rows before and after the change would be one entity.
    const [was, is] = [before, after].map((row) => row && restore(em.fork(), meta, row, schema));
    const row = is ?? was;
    if (!row || (options.when && !(options.when as Asking)(row, was))) return;
    this.#act(kind, options, was && was !== row ? [row, was] : [row]);
  }

  /** A row that moved from one user to another concerns both. */
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

/** @throws ConfigurationError for a rule that could never apply, or would fail each time */
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
  if (!columns) throw fault(rule, 'is not an entity of the application.', 'Name one, or a Signal.');
  const changed: readonly string[] = rule.options.changed ?? [];
  const unknown = changed.find((name) => !columns.has(name));
  if (unknown === undefined) return;
  throw fault(
    rule,
    `waits for a change of "${unknown}", which is not a column.`,
    `There are: ${[...columns].join(', ')}.`,
  );
}

function fault(rule: ConnectionRule, reason: string, remedy: string): ConfigurationError {
  const name = rule.kind === 'recheck' ? 'recheckOn' : 'closeOn';
  return new ConfigurationError({ class: name, member: modelOf(rule)?.name ?? 'signal', reason, remedy });
}
