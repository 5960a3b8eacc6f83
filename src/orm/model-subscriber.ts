import type {
  Collection,
  EntityManager,
  EventArgs,
  EventSubscriber,
  FlushEventArgs,
  TransactionEventArgs,
} from '@mikro-orm/core';
import { helper } from '@mikro-orm/core';
import { origin } from '../signals/origin.js';
import type { SignalSent } from '../signals/signal-sent.js';
import { type ModelChange, mergeChanges, type RowData } from './model-change.js';
import { hasDerivedColumns, isComplete, primaryKeyOf, readRow, rowKey, snapshotOf } from './model-snapshot.js';
import { type TransactionEvent, TransactionStages } from './transaction-stages.js';

/** Told once per commit of what it changed and of the signals that waited for it. */
export type Committed = (changes: readonly ModelChange[], signals: readonly SignalSent[]) => void;

/**
 * Flush -> stage. Notes what each flush does to each row; what the outermost transaction commits, and only that, is handed
 * on as one list. Writes of which the ORM tells too little are not seen here: upserts, bulk inserts, native queries, raw SQL.
 */
export class ModelSubscriber implements EventSubscriber {
  readonly #stages: TransactionStages<ModelChange | SignalSent>;
  readonly #before = new WeakMap<object, RowData>();
  readonly #relinked = new WeakMap<EntityManager, Set<object>>();

  readonly #committed: Committed;
  #signals = 0;
  #isMuted = false;
  #isClosed = false;

  /** @param committed told once per commit; never awaited, and called outside the flush's async context */
  constructor(committed: Committed) {
    this.#committed = committed;
    this.#stages = new TransactionStages(mergeStaged, (staged) => this.#release(staged));
  }

  /** Tells nothing any more, and goes on asking whether transactions are sound. */
  mute(): void {
    this.#isMuted = true;
  }

  /** Notes nothing any more: the ORM keeps its subscribers for good. */
  close(): void {
    this.#isClosed = true;
  }

  /** A signal waits for the transaction that its sender is in, if there is one. */
  stageSignal(em: EntityManager, sent: SignalSent): void {
    if (this.#isMuted) return;
    if (sent.atOnce || !em.getTransactionContext()) this.#committed([], [sent]);
    else this.#stages.of(em).stage(`signal:${++this.#signals}`, sent);
  }

  /** Collections of a many-to-many relation change no column: the rows that own them count as updated. */
  onFlush({ em, uow }: FlushEventArgs): void {
    if (this.#isClosed) return;
    const removed = uow.getRemoveStack();
    const owners = uow.getCollectionUpdates().flatMap(relinkedOwners);
    const relinked = owners.filter((owner) => !removed.has(owner));
    // Always: a flush that failed has left its own behind.
    this.#relinked.set(em, new Set(relinked));
  }

  async afterCreate({ em, entity }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    this.#stage(em, entity, undefined, await writtenRow(em, entity));
  }

  async beforeUpdate({ em, entity, meta, changeSet }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const known = changeSet?.originalEntity as RowData | undefined;
    const before = isComplete(meta, known) ? known : await readRow(em, meta, primaryKeyOf(entity));
    if (before) this.#before.set(entity, before);
  }

  /** A property that was set to undefined is in the payload only. */
  async afterUpdate({ em, entity, changeSet }: EventArgs<object>): Promise<void> {
    const before = this.#before.get(entity);
    if (!before) return;
    this.#stage(em, entity, before, { ...before, ...changeSet?.payload, ...(await writtenRow(em, entity)) });
  }

  async beforeDelete({ em, entity, meta }: EventArgs<object>): Promise<void> {
    if (this.#isClosed) return;
    const known = em.getUnitOfWork(false).getOriginalEntityData(entity) as RowData | undefined;
    const before = isComplete(meta, known) ? known : await readRow(em, meta, primaryKeyOf(entity));
    if (before) this.#before.set(entity, before);
  }

  /** A row that was not there is not deleted: nothing was noted before, nothing is told after. */
  afterDelete({ em, entity }: EventArgs<object>): void {
    const before = this.#before.get(entity);
    if (before) this.#stage(em, entity, before, undefined);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    if (this.#isClosed) return;
    await this.#stageRelinked(em);
    if (!em.getTransactionContext()) this.#stages.releaseLoose(em);
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

  #release(staged: readonly (ModelChange | SignalSent)[]): void {
    const signals = staged.filter(isSignal);
    const changes = staged.flatMap((entry) => (isSignal(entry) ? [] : entry));
    if (!this.#isMuted) this.#committed(changes, signals);
  }

  #stage(em: EntityManager, entity: object, before: RowData | undefined, after: RowData | undefined): void {
    const meta = helper(entity).__meta;
    const request = origin.getStore();
    this.#stages.of(em).stage(rowKey(meta, entity), {
      entity: meta.class,
      pk: primaryKeyOf(entity),
      ...(before && { before }),
      ...(after && { after }),
      ...(request && { origin: request }),
    });
  }

  async #stageRelinked(em: EntityManager): Promise<void> {
    const owners = this.#relinked.get(em);
    this.#relinked.delete(em);
    for (const owner of owners ?? []) {
      const known = snapshotOf(em, owner);
      const meta = helper(owner).__meta;
      const row = isComplete(meta, known) ? known : await readRow(em, meta, primaryKeyOf(owner));
      if (row) this.#stage(em, owner, row, row);
    }
  }
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

/** The owners of the pivot rows that a collection adds or removes. */
function relinkedOwners(collection: Collection<object>): object[] {
  const { property } = collection;
  if (property.kind !== 'm:n') return [];
  const before = new Set(collection.getSnapshot() ?? []);
  const after = new Set(collection.getItems(false));
  const touched = [...before.symmetricDifference(after)];
  if (touched.length === 0 && collection.getSnapshot()) return [];
  return property.owner ? [collection.owner] : touched;
}
