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
import type { CommitBuffer, RowNote, TransactionEvent } from './commit-buffer.js';
import { isStored, type LinkEnd, linkClasses, relinkedRows } from './many-to-many.js';
import { conflictingRows } from './model-upsert.js';
import type { RowReader } from './row-reader.js';
import { noteWritten } from './written-rows.js';

/** What applications want to know of an entity that they observe. */
export interface Watch {
  /** Whether the row before a change is needed, and what its many-to-many relations held. */
  readonly needsBefore: boolean;
}

/** Undefined where no application observes the entity. */
export type WatchOf = (entity: EntityClass<object>) => Watch | undefined;

/**
 * Flush -> commit buffer. Notes which rows each flush changes, and reads those that were there before under their locks where an
 * observer needs that. Writes of which the ORM tells nothing are not seen here: bulk inserts, native queries, raw SQL.
 */
export class ChangeCapture implements EventSubscriber {
  readonly #buffer: CommitBuffer;
  readonly #rows: RowReader;
  readonly #watchOf: WatchOf;
  /** Writes what was noted outside of any transaction that the framework has seen. */
  readonly #writeLoose: (em: EntityManager) => Promise<void>;
  /** Of a row that is about to be written. */
  readonly #before = new WeakMap<object, RowNote>();
  readonly #relinked = new WeakMap<EntityManager, ReadonlySet<object>>();
  readonly #upserted = new WeakMap<EntityManager, Map<string, unknown>>();
  /** Managers that have noted something in no transaction whose end will be heard of. */
  readonly #loose = new WeakSet<object>();
  readonly #begun = new WeakSet<object>();
  #links: ReadonlyMap<string, readonly LinkEnd[]> | undefined;

  constructor(
    buffer: CommitBuffer,
    rows: RowReader,
    watchOf: WatchOf,
    writeLoose: (em: EntityManager) => Promise<void>,
  ) {
    this.#buffer = buffer;
    this.#rows = rows;
    this.#watchOf = watchOf;
    this.#writeLoose = writeLoose;
  }

  /** Rows of which the ORM tells nothing, as they are before the write: they are locked, and told where they differ afterwards. */
  async noteRows(em: EntityManager, meta: EntityMetadata, keys: readonly (readonly unknown[])[]): Promise<void> {
    const schema = schemaOf(em, meta);
    const before = await this.#rows.lock(em, meta, schema, keys, true);
    keys.forEach((key, index) => {
      const row = before[index];
      this.#note(em, {
        meta,
        schema,
        key,
        wasThere: row !== undefined,
        withMembers: true,
        isQuiet: true,
        ...(row !== undefined && { before: row }),
      });
    });
  }

  /** Tells of what was noted outside of any transaction. */
  writeLoose(em: EntityManager): Promise<void> {
    return this.#writeLoose(em);
  }

  /** Rows that are written already, or go soon. */
  async announce(
    em: EntityManager,
    meta: EntityMetadata,
    keys: readonly (readonly unknown[])[],
    action: 'create' | 'update' | 'delete',
  ): Promise<void> {
    const schema = schemaOf(em, meta);
    const rows = await this.#rows.lock(em, meta, schema, keys, true);
    keys.forEach((key, index) => {
      const before = rows[index];
      if (before === undefined) return;
      const note = { meta, schema, key, wasThere: action !== 'create', withMembers: true };
      this.#note(em, {
        ...note,
        ...(action !== 'create' && { before }),
        ...(action === 'delete' && { isGoing: true }),
      });
    });
  }

  /** Whether rows of the class link two others, which count as updated with them. */
  isLink(em: EntityManager, { className }: EntityMetadata): boolean {
    this.#links ??= linkClasses(em);
    return this.#links.has(className);
  }

  /** Links change no column: the rows at both of their ends count as updated. */
  async onFlush(event: FlushEventArgs): Promise<void> {
    for (const { owner } of event.uow.getCollectionUpdates()) noteWritten(owner);
    const rows = await relinkedRows(event, (meta) => this.#watch(meta) !== undefined);
    if (rows.size === 0) return;
    if (event.em.getTransactionContext()) await this.#noteRelinked(event.em, rows);
    // The transaction of this flush has not begun.
    else this.#relinked.set(event.em, rows);
  }

  beforeTransactionStart(event: TransactionEventArgs): void {
    this.#buffer.starting(event as TransactionEvent);
  }

  async afterTransactionStart(event: TransactionEventArgs): Promise<void> {
    this.#buffer.started(event as TransactionEvent);
    const { em, transaction } = event;
    if (transaction) this.#begun.add(transaction);
    const rows = this.#relinked.get(em);
    this.#relinked.delete(em);
    if (rows && transaction) await this.#noteRelinked(em, rows, transaction);
  }

  /** Of a savepoint. The outermost transaction is taken where its COMMIT is about to be sent. */
  afterTransactionCommit(event: TransactionEventArgs): void {
    this.#buffer.released(event as TransactionEvent);
  }

  afterTransactionRollback(event: TransactionEventArgs): void {
    this.#buffer.rolledBack(event as TransactionEvent);
  }

  async beforeCreate({ em, entity, meta }: EventArgs<object>): Promise<void> {
    await this.#noteLinks(em, entity, meta);
  }

  afterCreate({ em, entity, meta }: EventArgs<object>): void {
    noteWritten(entity);
    const watch = this.#watch(meta);
    if (watch) this.#note(em, { ...this.#rowOf(em, entity, meta, watch), wasThere: false });
  }

  async beforeUpdate({ em, entity, changeSet }: EventArgs<object>): Promise<void> {
    const meta = ownMeta(entity);
    await this.#noteLinks(em, entity, meta, changeSet?.originalEntity);
    const watch = this.#watch(meta);
    if (!watch) return;
    const { needsBefore } = watch;
    const key = changeSet ? flat(changeSet.getPrimaryKey()) : keyOf(entity);
    const schema = schemaOf(em, meta, entity);
    const isMoved = String(key) !== String(keyOf(entity));
    const note = { meta, schema, key, wasThere: true, withMembers: needsBefore };
    this.#before.delete(entity);
    if (!isMoved && !needsBefore) {
      this.#before.set(entity, note);
      return;
    }
    // Where another transaction has deleted the row, that one tells so, and this update finds nothing to write.
    const [before] = await this.#rows.lock(em, meta, schema, [key], needsBefore);
    if (before !== undefined) this.#before.set(entity, { ...note, before });
  }

  /** A row whose key has changed went away under the one, and came under the other. */
  afterUpdate({ em, entity }: EventArgs<object>): void {
    const meta = ownMeta(entity);
    noteWritten(entity);
    const before = this.#before.get(entity);
    if (!before) return;
    this.#before.delete(entity);
    this.#note(em, before);
    const row = this.#rowOf(em, entity, meta, { needsBefore: before.withMembers });
    if (String(row.key) !== String(before.key)) this.#note(em, { ...row, wasThere: false });
  }

  /** Another transaction may have deleted the row: only who finds it under its lock tells that it is gone. */
  async beforeDelete({ em, entity, meta }: EventArgs<object>): Promise<void> {
    await this.#noteLinks(em, entity, meta, em.getUnitOfWork(false).getOriginalEntityData(entity));
    const watch = this.#watch(meta);
    if (!watch) return;
    const row = { ...this.#rowOf(em, entity, meta, watch), wasThere: true };
    const [before] = await this.#rows.lock(em, meta, row.schema, [row.key], watch.needsBefore);
    if (before !== undefined) this.#before.set(entity, { ...row, before });
  }

  afterDelete({ em, entity }: EventArgs<object>): void {
    const before = this.#before.get(entity);
    if (before) this.#note(em, before);
  }

  /** What is there by the key or a unique property of an upsert is what it updates; where nothing is, it creates. */
  async beforeUpsert({ em, entity, meta }: EventArgs<object>): Promise<void> {
    const watch = this.#watch(meta);
    if (!watch) return;
    const known = this.#upserted.get(em) ?? new Map<string, unknown>();
    const keys = (await conflictingRows(em, meta, entity)).map(keyOf);
    const rows = await this.#rows.read(em, meta, schemaOf(em, meta), keys, watch.needsBefore);
    for (const [index, key] of keys.entries()) known.set(String(key), rows[index]);
    this.#upserted.set(em, known);
  }

  async afterUpsert({ em, entity, meta }: EventArgs<object>): Promise<void> {
    noteWritten(entity);
    const watch = this.#watch(meta);
    if (!watch) return;
    const row = this.#rowOf(em, entity, meta, watch);
    const before = this.#upserted.get(em)?.get(String(row.key));
    this.#upserted.get(em)?.delete(String(row.key));
    this.#note(em, { ...row, wasThere: before !== undefined, ...(before !== undefined && { before }), isQuiet: true });
    if (!em.getTransactionContext()) await this.#writeLoose(em);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    if (this.#loose.delete(em)) await this.#writeLoose(em);
  }

  /** Tables of many-to-many relations without a class of their own have no observer. */
  #watch({ class: entity }: EntityMetadata): Watch | undefined {
    return entity && this.#watchOf(entity);
  }

  #rowOf(em: EntityManager, entity: object, meta: EntityMetadata, { needsBefore }: Watch): Omit<RowNote, 'wasThere'> {
    return { meta, schema: schemaOf(em, meta, entity), key: keyOf(entity), withMembers: needsBefore };
  }

  #note(em: EntityManager, note: RowNote, transaction?: object): void {
    const origin = currentWork.getStore()?.id;
    const within = transaction ?? em.getTransactionContext();
    if (!within || !this.#begun.has(within)) this.#loose.add(em);
    const stage = this.#buffer.find(within ?? em);
    stage.note(origin === undefined ? note : { ...note, origin });
  }

  /** Locked in the order of their keys, before the links are written: another writer of a link of the same row waits here. */
  async #noteRelinked(em: EntityManager, rows: Iterable<object>, transaction?: object): Promise<void> {
    // The key of a row that is not stored yet may be missing, which a type of the application need not expect.
    for (const [meta, stored] of byClass([...rows].filter(isStored))) {
      const schema = schemaOf(em, meta, stored[0]);
      const keys = stored.map(keyOf);
      const before = await this.#rows.lock(em, meta, schema, keys, true, transaction);
      keys.forEach((key, index) => {
        if (before[index] === undefined) return;
        const note = { meta, schema, key, wasThere: true, withMembers: true, isQuiet: true, isRelinked: true };
        this.#note(em, { ...note, before: before[index] }, transaction);
      });
    }
  }

  /** A row of a link's own class links two rows, which count as updated. */
  async #noteLinks(em: EntityManager, entity: object, meta: EntityMetadata, original?: object): Promise<void> {
    this.#links ??= linkClasses(em);
    for (const { meta: end, property } of this.#links.get(meta.className) ?? []) {
      if (!this.#watch(end)) continue;
      const rows = [Reflect.get(entity, property), original && Reflect.get(original, property)].flatMap((value) => {
        if (value === undefined || value === null) return [];
        return Utils.isEntity(value, true) ? [value as object] : [em.getReference(end.class, value as never) as object];
      });
      await this.#noteRelinked(em, new Set(rows.filter(isStored)));
    }
  }
}

/** Where a class and its parent have a table each, MikroORM tells of a write of the parent's as one of the parent class. */
function ownMeta(entity: object): EntityMetadata {
  return helper(entity).__meta as EntityMetadata;
}

function byClass(rows: readonly object[]): ReadonlyMap<EntityMetadata, readonly object[]> {
  const classes = new Map<EntityMetadata, object[]>();
  const ordered = rows.toSorted((one, other) => (String(keyOf(one)) < String(keyOf(other)) ? -1 : 1));
  for (const row of ordered) {
    const { __meta: meta } = helper(row);
    classes.set(meta, [...(classes.get(meta) ?? []), row]);
  }
  return classes;
}

/** Undefined where the table has one schema for all. */
function schemaOf(em: EntityManager, meta: EntityMetadata, entity?: object): string | undefined {
  if (meta.schema !== '*') return undefined;
  return (entity && helper(entity).getSchema()) ?? em.schema ?? em.config.get('schema') ?? undefined;
}

/** The values of the key's columns, as the database has them. */
export function keyOf(entity: object): readonly unknown[] {
  const { __meta: meta, __platform: platform } = helper(entity);
  const key: unknown = helper(entity).getPrimaryKey(true);
  if (typeof key !== 'object' || key === null) return [key];
  const values = Utils.getOrderedPrimaryKeys(helper(entity).getPrimaryKey() as never, meta, platform);
  const props = meta.getPrimaryProps(true);
  return values.map((value, index) => {
    const type = props[index]?.customType;
    return type ? (type.convertToDatabaseValue(value, platform, {}) as unknown) : value;
  });
}

function flat(key: unknown): readonly unknown[] {
  return Array.isArray(key) ? key.flat(Number.POSITIVE_INFINITY) : [key];
}
