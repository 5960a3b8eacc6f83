import type { Connections } from '../authentication/connections.js';
import type { Logger } from '../logger.js';
import { changedColumns, type ModelChange, type RowData } from '../orm/model-change.js';
import { restore } from '../orm/model-snapshot.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { type ConnectionRule, modelOf, signalOf } from './connection-rule.js';

export interface ConnectionRuleParts {
  readonly connections: Connections;
  readonly unitOfWork: UnitOfWork;
  readonly logger: Logger;
}

/** A subject as a rule's functions take it. */
type Asking = (subject: object, before?: object) => unknown;

/** Does what an application has declared that a commit does to connections. A rule that throws is logged. */
export class ConnectionRules {
  readonly #rules: readonly ConnectionRule[];
  readonly #parts: ConnectionRuleParts;

  constructor(rules: readonly ConnectionRule[], parts: ConnectionRuleParts) {
    this.#rules = rules;
    this.#parts = parts;
  }

  /** Told of what was committed, and of nothing else. */
  async apply(changes: readonly ModelChange[], signals: readonly SignalSent[]): Promise<void> {
    for (const rule of this.#rules) {
      for (const change of changes) if (isOf(change, rule)) await this.#guarded(rule, () => this.#change(rule, change));
      for (const sent of signals)
        if (signalOf(rule) === sent.signal && !sent.atOnce) await this.#guarded(rule, () => this.#signal(rule, sent));
    }
  }

  async #guarded(rule: ConnectionRule, work: () => Promise<void>): Promise<void> {
    try {
      await this.#parts.unitOfWork.run(work);
    } catch (error) {
      const { name } = modelOf(rule) ?? { name: 'a signal' };
      this.#parts.logger.error('Connections could not be closed or checked again.', { of: name, error });
    }
  }

  async #signal({ kind, options }: ConnectionRule, { payload }: SignalSent): Promise<void> {
    if (options.when && !(options.when as Asking)(payload as object)) return;
    await this.#act(kind, options, [payload as object]);
  }

  async #change({ kind, options }: ConnectionRule, { entity, before, after }: ModelChange): Promise<void> {
    if (!counts(options, before, after)) return;
    const { em } = this.#parts.unitOfWork.of(entity);
    // Each in a fork of its own: in one, the row before and after would be one entity.
    const [was, is] = [before, after].map((row) => row && restore(em.fork(), entity, row));
    const row = is ?? was;
    if (!row || (options.when && !(options.when as Asking)(row, was))) return;
    await this.#act(kind, options, was && was !== row ? [row, was] : [row]);
  }

  /** A row that went from one user to another concerns both. */
  async #act(
    kind: ConnectionRule['kind'],
    { user, session, reason, code }: ConnectionRule['options'],
    subjects: readonly object[],
  ): Promise<void> {
    const { connections } = this.#parts;
    for (const id of idsOf(user, subjects)) {
      if (kind === 'recheck') await connections.recheckUser(id);
      else await connections.disconnectUser(id, reason, code);
    }
    for (const id of idsOf(session, subjects)) await connections.disconnectSession(id, reason, code);
  }
}

function isOf({ entity }: ModelChange, rule: ConnectionRule): boolean {
  const model = modelOf(rule);
  return model !== undefined && (entity === model || entity.prototype instanceof model);
}

function counts(
  { on, changed }: ConnectionRule['options'],
  before: RowData | undefined,
  after: RowData | undefined,
): boolean {
  const event = before && after ? 'update' : after ? 'create' : 'delete';
  if (on && !on.includes(event)) return false;
  if (!changed || !before || !after) return true;
  const columns = changedColumns(before, after);
  return (changed as readonly string[]).some((name) => columns.has(name));
}

function idsOf(ask: ((subject: never) => unknown) | undefined, subjects: readonly object[]): ReadonlySet<string> {
  if (!ask) return new Set();
  const found = subjects.flatMap((subject) => (ask as Asking)(subject) ?? []);
  return new Set(found.map(String));
}
