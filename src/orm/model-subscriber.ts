import type {
  EntityClass,
  EntityManager,
  EntityMetadata,
  EventArgs,
  EventSubscriber,
  FlushEventArgs,
  TransactionEventArgs,
} from '@mikro-orm/core';
import { helper, Utils } from '@mikro-orm/core';
import { currentWork } from '../async-context.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { type ModelChange, mergeChanges, type RowData } from './model-change.js';
import { noMembers, ownedRelations, readMembers } from './model-members.js';
import { ModelRelinks } from './model-relinks.js';
import { hasDerivedColumns, isComplete, primaryKeyOf, readRow, rowKey, snapshotOf } from './model-snapshot.js';
import { conflictingRows } from './model-upsert.js';
import { type TransactionEvent, TransactionStages } from './transaction-stages.js';

/**
 * Told once per commit of what it changed and of the signals that waited for it.
 *
 * @param cause the trace that the commit belongs to, as W3C `traceparent`
 */
export type Committed = (changes: readonly ModelChange[], signals: readonly SignalSent[], cause?: string) => void;

/**
 * Flush -> stage. Notes what each flush does to each row; what the outermost transaction commits, and only that, is handed
 * on as one list. Writes of which the ORM tells nothing are not seen here: bulk inserts, native queries, raw SQL.
 */
export class ModelSubscriber implements EventSubscriber {
  readonly #stages: TransactionStages<ModelChange | SignalSent>;
  readonly #before = new WeakMap<object, RowData>();
  readonly #relinks: ModelRelinks;
  readonly #upserted = new WeakMap<EntityManager, Map<string, RowData>>();
  readonly #foreign = new WeakMap<object, RowData>();
  readonly #committed: Committed;
  readonly #cause: () => string | undefined;
  readonly #groupsVary: (meta: EntityMetadata) => boolean;
  #signals = 0;
  #isClosed = false;

  /**
   * @param committed told once per commit; never awaited, and called outside the flush's async context
   * @param groupsVary whether an observer derives groups from more than the key of a model's rows
   * @param isObserved whether an observer hears of a model's rows: who holds a row that is removed is asked for those only
   * @param cause tells which trace is under way
   */
  constructor(
    committed: Committed,
    groupsVary: (model: EntityClass<object>) => boolean = () => false,
    isObserved: (model: EntityClass<object>) => boolean = () => true,
    cause: () => string | undefined = () => undefined,
  ) {
    this.#committed = committed;
    this.#cause = cause;
    this.#groupsVary = (meta) => groupsVary(meta.class);
    this.#relinks = new ModelRelinks((meta) => Boolean(meta.class) && isObserved(meta.class), this.#groupsVary);
    this.#stages = new TransactionStages(mergeStaged, (...staged) => this.#release(...staged), cause);
  }

  /** Notes nothing any more: the ORM keeps its subscribers for good. */
  close(): void {
    this.#isClosed = true;
  }

  /** A row of which the ORM told nothing. */
  stageRow(em: EntityManager, model: EntityClass<object>, pk: unknown, before?: RowData, after?: RowData): void {
    if (this.#isClosed || !(before ?? after)) return;
    this.#stage(em, em.fork({ clear: true }).getReference(model, pk as never), before, after);
  }

  /** Tells what was written outside of any transaction. */
  releaseLoose(em: EntityManager): void {
    if (!em.getTransactionContext()) this.#stages.releaseLoose(em);
  }

  /** What the relations of a row hold, where groups may be derived from it. */
  async membersOf(em: EntityManager, meta: EntityMetadata, pk: unknown): Promise<RowData> {
    const names = this.#groupsVary(meta) ? ownedRelations(meta) : [];
    return names.length > 0 ? readMembers(em, meta, pk, names) : {};
  }

  /** A signal waits for the transaction that its sender is in, if there is one. */
  stageSignal(em: EntityManager, sent: SignalSent): void {
    if (sent.atOnce || !em.getTransactionContext()) this.#committed([], [sent], this.#cause());
    else this.#stages.of(em).stage(`signal:${++this.#signals}`, sent);
  }

  /** Collections of a many-to-many relation change no column: the rows that own them count as updated. */
  async onFlush(event: FlushEventArgs): Promise<void> {
    if (!this.#isClosed) await this.#relinks.flushing(event);
  }

  async afterCreate({ em, entity }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const none = this.#groupsVary(helper(entity).__meta) ? noMembers(ownedRelations(helper(entity).__meta)) : undefined;
    this.#stage(em, entity, undefined, { ...none, ...(await writtenRow(em, entity)) });
  }

  /**
   * Where groups may vary the row is read and locked: another transaction may have moved it since it was loaded. A version
   * column makes that needless, for the flush then fails.
   */
  async beforeUpdate({ em, entity, meta, changeSet }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const known = changeSet?.originalEntity as RowData | undefined;
    const isRead = this.#groupsVary(meta) && meta.versionProperty === undefined;
    const isKnown = isComplete(meta, known);
    const read = isRead || !isKnown ? await readRow(em, meta, primaryKeyOf(entity), isRead) : known;
    if (!read) return;
    this.#before.set(entity, { ...read, ...(await this.membersOf(em, meta, primaryKeyOf(entity))) });
    if (isRead && isKnown) this.#foreign.set(entity, changedElsewhere(known, read));
  }

  /** A property that was set to undefined is in the payload only. */
  async afterUpdate({ em, entity, changeSet }: EventArgs<object>): Promise<void> {
    const before = this.#before.get(entity);
    if (!before) return;
    this.#before.delete(entity);
    const payload = changeSet?.payload as RowData | undefined;
    const after = { ...before, ...payload, ...(await writtenRow(em, entity)) };
    for (const [name, value] of Object.entries(this.#foreign.get(entity) ?? {})) {
      if (!payload || !(name in payload)) after[name] = value;
    }
    this.#stage(em, entity, before, after);
  }

  async beforeDelete({ em, entity, meta }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const known = em.getUnitOfWork(false).getOriginalEntityData(entity) as RowData | undefined;
    const isKnown = isComplete(meta, known) && (!this.#groupsVary(meta) || meta.versionProperty !== undefined);
    const before = isKnown ? known : await readRow(em, meta, primaryKeyOf(entity), this.#groupsVary(meta));
    if (before) this.#before.set(entity, { ...before, ...(await this.membersOf(em, meta, primaryKeyOf(entity))) });
  }

  /** A row that was not there is not deleted: nothing was noted before, nothing is told after. */
  afterDelete({ em, entity }: EventArgs<object>): void {
    const before = this.#before.get(entity);
    if (before) this.#stage(em, entity, before, undefined);
  }

  /** What is there by the key or a unique property of an upsert is what it updates; where nothing is, it creates. */
  async beforeUpsert({ em, entity, meta }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const rows = this.#upserted.get(em) ?? new Map<string, RowData>();
    for (const [key, row] of await conflictingRows(em, meta, entity)) rows.set(key, row);
    this.#upserted.set(em, rows);
  }

  async afterUpsert({ em, entity, meta }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const key = rowKey(meta, entity);
    const before = this.#upserted.get(em)?.get(key);
    this.#upserted.get(em)?.delete(key);
    const after = await readRow(em, meta, primaryKeyOf(entity));
    if (after && !Utils.equals(before, after)) this.#stage(em, entity, before, after);
    this.releaseLoose(em);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    if (this.#isClosed) return;
    await this.#stageRelinked(em);
    this.releaseLoose(em);
  }

  beforeTransactionStart(event: TransactionEventArgs): void {
    if (!this.#isClosed) this.#stages.starting(event as TransactionEvent);
  }

  afterTransactionStart(event: TransactionEventArgs): void {
    if (!this.#isClosed) this.#stages.started(event as TransactionEvent);
  }

  async beforeTransactionCommit(event: TransactionEventArgs): Promise<void> {
    if (this.#isClosed) return;
    await this.#stageRelinked(event.em);
    await this.#stages.committing(event as TransactionEvent);
  }

  afterTransactionCommit(event: TransactionEventArgs): void {
    if (!this.#isClosed) this.#stages.committed(event as TransactionEvent);
  }

  afterTransactionRollback(event: TransactionEventArgs): void {
    this.#stages.rolledBack(event as TransactionEvent);
  }

  #release(staged: readonly (ModelChange | SignalSent)[], cause: string | undefined): void {
    const signals = staged.filter(isSignal);
    const changes = staged.flatMap((entry) => (isSignal(entry) ? [] : entry));
    this.#committed(changes, signals, cause);
  }

  #stage(em: EntityManager, entity: object, before: RowData | undefined, after: RowData | undefined): void {
    const meta = helper(entity).__meta;
    const request = currentWork.getStore()?.id;
    this.#stages.of(em).stage(rowKey(meta, entity), {
      entity: meta.class,
      pk: primaryKeyOf(entity),
      ...(before && { before }),
      ...(after && { after }),
      ...(request && { origin: request }),
    });
  }

  async #stageRelinked(em: EntityManager): Promise<void> {
    for (const { owner, before, after } of await this.#relinks.take(em)) this.#stage(em, owner, before, after);
  }
}

/** What another transaction wrote since the row was loaded. */
function changedElsewhere(known: RowData, read: RowData): RowData {
  return Object.fromEntries(Object.entries(read).filter(([name, value]) => !Utils.equals(value, known[name])));
}

function isSignal(staged: ModelChange | SignalSent): staged is SignalSent {
  return 'signal' in staged;
}

/** Every signal is staged under a key of its own. */
function mergeStaged(earlier: ModelChange | SignalSent, later: ModelChange | SignalSent) {
  return isSignal(earlier) || isSignal(later) ? later : mergeChanges(earlier, later);
}

/** The row as this flush has written it: the entity tells, but for what the database worked out. */
async function writtenRow(em: EntityManager, entity: object): Promise<RowData> {
  const meta = helper(entity).__meta;
  const read = hasDerivedColumns(meta) ? await readRow(em, meta, primaryKeyOf(entity)) : undefined;
  return { ...snapshotOf(em, entity), ...read };
}
