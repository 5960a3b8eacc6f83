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
import { isStored, type LinkEnd, linkClasses, relinkedRows } from './many-to-many.js';
import { conflictingRows, transactionOf, type WantsTransaction, wrapUpserts } from './model-upsert.js';
import type { RowReader } from './row-reader.js';

/** A signal that was sent inside the transaction. */
export interface LoggedSignal {
  /** The ids of the observers and rules that hear it. */
  readonly names: readonly string[];
  /** As `encodePayload` wrote it. */
  readonly payload: string;
  readonly origin?: string;
}

/** Subscriptions that the code of the transaction has asked again. */
export interface LoggedRecheck {
  readonly observer: string;
  readonly groups: readonly string[];
  readonly origin?: string;
  /** The application that has asked its own subscriptions already, where it did so outside of any transaction. */
  readonly source?: string;
}

/**
 * What a transaction has done to one row. What became of the row is not in it: the statement that ends the transaction reads it
 * from the database.
 */
export interface RowNote {
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  /** The values of the key's columns, as the database has them. */
  readonly key: readonly unknown[];
  /** Whether the row was there before the transaction. */
  readonly wasThere: boolean;
  /** The text of the row before the transaction, read under its lock. Absent where no observer needs it. */
  readonly before?: unknown;
  /** Whether the text has what many-to-many relations hold. */
  readonly withMembers: boolean;
  /** The change is sent as an event only where the row's text differs. */
  readonly isQuiet?: boolean;
  /** Nothing but what its many-to-many relations hold has changed. */
  readonly isRelinked?: boolean;
  /** Whether the transaction has left the row in its place: where it is not found, a policy hides it, or the database has deleted it. */
  readonly isThere?: boolean;
  /** The application said that the row goes, and does it itself later. */
  readonly isGoing?: boolean;
  /** The request that made the change, if a request did. */
  readonly origin?: string;
}

/** What a transaction, or a savepoint in it, writes to the change log once it commits. */
export class Stage {
  readonly rows = new Map<string, RowNote>();
  readonly signals: LoggedSignal[] = [];
  readonly rechecks: LoggedRecheck[] = [];
  readonly works: (() => unknown)[] = [];

  /** @param parent the stage of the transaction around this savepoint */
  constructor(readonly parent?: Stage) {}

  get isEmpty(): boolean {
    return this.rows.size + this.signals.length + this.rechecks.length === 0;
  }

  note(note: RowNote): void {
    const name = nameOf(note);
    const earlier = this.rows.get(name);
    this.rows.set(name, earlier ? merged(earlier, note) : note);
  }

  /** A released savepoint hands everything to the transaction around it. */
  release(): void {
    for (const note of this.rows.values()) this.parent?.note(note);
    this.parent?.signals.push(...this.signals);
    this.parent?.rechecks.push(...this.rechecks);
    this.parent?.works.push(...this.works);
  }
}

/** What MikroORM calls the context of a transaction; a savepoint is one with a name. */
export interface TransactionContext {
  readonly savepointName?: string;
}

/** As much of a transaction's events as the buffer needs. */
export interface TransactionEvent {
  readonly em: TransactionOwner;
  readonly transaction?: TransactionContext;
}

interface TransactionOwner {
  getTransactionContext(): object | undefined;
}

/**
 * One stage per open transaction and savepoint of a database. A savepoint that is rolled back is dropped with all that is in it; what
 * the outermost transaction has is taken when it is about to commit.
 */
export class CommitBuffer {
  /** Weak, because a killed connection reports neither commit nor rollback. */
  readonly #stages = new WeakMap<object, Stage>();
  readonly #around = new WeakMap<object, object>();

  /** The stage of what this entity manager writes now; without a transaction, one of the manager's own. */
  of(em: TransactionOwner): Stage {
    return this.find(em.getTransactionContext() ?? em);
  }

  find(transaction: object): Stage {
    const existing = this.#stages.get(transaction);
    if (existing) return existing;
    const created = new Stage();
    this.#stages.set(transaction, created);
    return created;
  }

  /** The stage is empty from now on: what comes later is taken by itself. */
  take(transaction: object): Stage {
    const stage = this.find(transaction);
    this.#stages.delete(transaction);
    return stage;
  }

  /** The transaction that a savepoint of the manager begins in. */
  around(em: TransactionOwner): object | undefined {
    return this.#around.get(em);
  }

  starting({ em, transaction }: TransactionEvent): void {
    if (transaction) this.#around.set(em, transaction);
    else this.#around.delete(em);
  }

  started({ em, transaction }: TransactionEvent): void {
    if (!transaction) return;
    const around = transaction.savepointName ? this.#around.get(em) : undefined;
    this.#stages.set(transaction, new Stage(around && this.find(around)));
  }

  released({ transaction }: TransactionEvent): void {
    if (transaction?.savepointName) this.take(transaction).release();
  }

  rolledBack({ transaction }: TransactionEvent): void {
    if (transaction) this.#stages.delete(transaction);
  }
}

/** What applications want to know of an entity that they observe. */
export interface Watch {
  /** Whether the row before a change is needed, and what its many-to-many relations held. */
  readonly needsBefore: boolean;
}

/**
 * Flush -> commit buffer. Notes which rows each flush changes, and reads those that were there before under their locks where an
 * observer needs that. Writes that the ORM does not report are not seen here: bulk inserts, native queries, raw SQL.
 */
export class ChangeCapture implements EventSubscriber {
  /** Of the entities that an application observes. */
  watches: ReadonlyMap<EntityClass<object>, Watch> = new Map();
  readonly #links: ReadonlyMap<string, readonly LinkEnd[]>;
  /** Of a row that is about to be written. */
  readonly #before = new WeakMap<object, RowNote>();
  readonly #relinked = new WeakMap<EntityManager, ReadonlySet<object>>();
  readonly #upserted = new WeakMap<EntityManager, Map<string, unknown>>();
  /** Managers that have noted something in no transaction whose end will be heard of. */
  readonly #loose = new WeakSet<object>();
  readonly #begun = new WeakSet<object>();

  /**
   * @param writeLoose writes what was noted outside of any transaction that the framework has seen
   * @param wantsTransaction asked for managers of other databases too
   */
  constructor(
    em: EntityManager,
    wantsTransaction: WantsTransaction,
    private readonly buffer: CommitBuffer,
    private readonly rows: RowReader,
    readonly writeLoose: (em: EntityManager) => Promise<void>,
  ) {
    this.#links = linkClasses(em);
    wrapUpserts(em, wantsTransaction);
  }

  /** Rows whose write the ORM does not report, as they are before it: they are locked, and sent as events where they differ afterwards. */
  async noteRows(em: EntityManager, meta: EntityMetadata, keys: readonly (readonly unknown[])[]): Promise<void> {
    const schema = schemaOf(em, meta);
    const before = await this.rows.lock(em, meta, schema, keys, true);
    keys.forEach((key, index) => {
      const row = before[index];
      this.#note(em, {
        meta,
        schema,
        key,
        wasThere: row !== undefined,
        withMembers: true,
        isQuiet: true,
        ...(row !== undefined && { before: row, isThere: true }),
      });
    });
  }

  /** Rows that are written already, or go soon. */
  async announce(
    em: EntityManager,
    meta: EntityMetadata,
    keys: readonly (readonly unknown[])[],
    action: 'create' | 'update' | 'delete',
  ): Promise<void> {
    const schema = schemaOf(em, meta);
    const rows = await this.rows.lock(em, meta, schema, keys, true);
    keys.forEach((key, index) => {
      const before = rows[index];
      if (before === undefined) return;
      const note = { meta, schema, key, wasThere: action !== 'create', withMembers: true };
      this.#note(em, {
        ...note,
        ...(action !== 'create' && { before }),
        ...(action === 'delete' ? { isGoing: true } : { isThere: true }),
      });
    });
  }

  /** Whether rows of the class link two others, which count as updated with them. */
  isLink({ className }: EntityMetadata): boolean {
    return this.#links.has(className);
  }

  /** Links change no column: the rows at both of their ends count as updated. */
  async onFlush(event: FlushEventArgs): Promise<void> {
    for (const { owner } of event.uow.getCollectionUpdates()) written.add(owner);
    const rows = await relinkedRows(event, (meta) => this.#watch(meta) !== undefined);
    if (rows.size === 0) return;
    if (event.em.getTransactionContext()) await this.#noteRelinked(event.em, rows);
    // The transaction of this flush has not begun.
    else this.#relinked.set(event.em, rows);
  }

  beforeTransactionStart(event: TransactionEventArgs): void {
    this.buffer.starting(event as TransactionEvent);
  }

  async afterTransactionStart(event: TransactionEventArgs): Promise<void> {
    this.buffer.started(event as TransactionEvent);
    const { em, transaction } = event;
    if (transaction && this.#hearsEnd(event as TransactionEvent)) this.#begun.add(transaction);
    const rows = this.#relinked.get(em);
    this.#relinked.delete(em);
    if (rows && transaction) await this.#noteRelinked(em, rows, transaction);
  }

  /** A savepoint goes the way of the transaction around it, which MikroORM may not have begun. */
  #hearsEnd({ em, transaction }: TransactionEvent): boolean {
    if (!transaction?.savepointName) return true;
    const around = this.buffer.around(em);
    return around !== undefined && this.#begun.has(around);
  }

  /** Of a savepoint. The outermost transaction is taken where its COMMIT is about to be sent. */
  afterTransactionCommit(event: TransactionEventArgs): void {
    this.buffer.released(event as TransactionEvent);
  }

  afterTransactionRollback(event: TransactionEventArgs): void {
    this.buffer.rolledBack(event as TransactionEvent);
  }

  async beforeCreate({ em, entity, meta }: EventArgs<object>): Promise<void> {
    await this.#noteLinks(em, entity, meta);
  }

  afterCreate({ em, entity, meta }: EventArgs<object>): void {
    written.add(entity);
    const watch = this.#watch(meta);
    if (watch) this.#note(em, { ...this.#rowOf(em, entity, meta, watch), wasThere: false, isThere: true });
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
    // Where another transaction has deleted the row, that one reports the delete, and this update finds nothing to write.
    const [before] = await this.rows.lock(em, meta, schema, [key], needsBefore);
    if (before !== undefined) this.#before.set(entity, { ...note, before });
  }

  /** A row whose key has changed went away under the one, and came under the other. */
  afterUpdate({ em, entity }: EventArgs<object>): void {
    const meta = ownMeta(entity);
    written.add(entity);
    const before = this.#before.get(entity);
    if (!before) return;
    this.#before.delete(entity);
    const row = this.#rowOf(em, entity, meta, { needsBefore: before.withMembers });
    const isMoved = String(row.key) !== String(before.key);
    this.#note(em, { ...before, isThere: !isMoved });
    if (isMoved) this.#note(em, { ...row, wasThere: false, isThere: true });
  }

  /** Another transaction may have deleted the row: only the transaction that finds it under its lock reports the delete. */
  async beforeDelete({ em, entity, meta }: EventArgs<object>): Promise<void> {
    await this.#noteLinks(em, entity, meta, em.getUnitOfWork(false).getOriginalEntityData(entity));
    const watch = this.#watch(meta);
    if (!watch) return;
    const row = { ...this.#rowOf(em, entity, meta, watch), wasThere: true };
    const [before] = await this.rows.lock(em, meta, row.schema, [row.key], watch.needsBefore);
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
    const transaction = transactionOf(em);
    const keys = (await conflictingRows(em, meta, entity, transaction)).map(keyOf);
    const rows = await this.rows.read(em, meta, schemaOf(em, meta), keys, watch.needsBefore, transaction);
    for (const [index, key] of keys.entries()) known.set(String(key), rows[index]);
    this.#upserted.set(em, known);
  }

  async afterUpsert({ em, entity, meta }: EventArgs<object>): Promise<void> {
    written.add(entity);
    const watch = this.#watch(meta);
    if (!watch) return;
    const row = this.#rowOf(em, entity, meta, watch);
    const before = this.#upserted.get(em)?.get(String(row.key));
    this.#upserted.get(em)?.delete(String(row.key));
    const note = { ...row, wasThere: before !== undefined, ...(before !== undefined && { before }), isQuiet: true };
    this.#note(em, { ...note, isThere: true }, transactionOf(em));
    // In a transaction that MikroORM did not begin.
    if (this.#loose.delete(em)) await this.writeLoose(em);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    if (this.#loose.delete(em)) await this.writeLoose(em);
  }

  /** Tables of many-to-many relations without a class of their own have no observer. */
  #watch({ class: entity }: EntityMetadata): Watch | undefined {
    return entity && this.watches.get(entity);
  }

  #rowOf(em: EntityManager, entity: object, meta: EntityMetadata, { needsBefore }: Watch): Omit<RowNote, 'wasThere'> {
    return { meta, schema: schemaOf(em, meta, entity), key: keyOf(entity), withMembers: needsBefore };
  }

  #note(em: EntityManager, note: RowNote, transaction?: object): void {
    const origin = currentWork.getStore()?.id;
    const within = transaction ?? em.getTransactionContext();
    if (!within || !this.#begun.has(within)) this.#loose.add(em);
    const stage = this.buffer.find(within ?? em);
    stage.note(origin === undefined ? note : { ...note, origin });
  }

  /** Locked in the order of their keys, before the links are written: another writer of a link of the same row waits here. */
  async #noteRelinked(em: EntityManager, rows: Iterable<object>, transaction?: object): Promise<void> {
    // The key of a row that is not stored yet may be missing, which a type of the application need not expect.
    for (const [meta, stored] of byClass([...rows].filter(isStored))) {
      const schema = schemaOf(em, meta, stored[0]);
      const keys = stored.map(keyOf);
      const before = await this.rows.lock(em, meta, schema, keys, true, transaction);
      const within = transaction ?? em.getTransactionContext();
      if (within && before.includes(undefined)) await this.rows.requireVisible(em, meta, schema, within);
      keys.forEach((key, index) => {
        if (before[index] === undefined) return;
        const note = {
          meta,
          schema,
          key,
          wasThere: true,
          withMembers: true,
          isQuiet: true,
          isRelinked: true,
          isThere: true,
        };
        this.#note(em, { ...note, before: before[index] }, transaction);
      });
    }
  }

  /** A row of a link's own class links two rows, which count as updated. */
  async #noteLinks(em: EntityManager, entity: object, meta: EntityMetadata, original?: object): Promise<void> {
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

/** Where a class and its parent have a table each, MikroORM reports a write of the parent's as one of the parent class. */
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

/** A row by the root of its class, its schema and its key: rows of a subclass are rows of the root's table. */
function nameOf({ meta, schema, key }: RowNote): string {
  return JSON.stringify([meta.root.className, schema, key.map(String)]);
}

/** Two changes of a row in one transaction are one: the row was there if it was there before the first. */
function merged(earlier: RowNote, later: RowNote): RowNote {
  const { before: _, isQuiet, isRelinked, ...rest } = later;
  return {
    ...rest,
    ...(isRelinked && earlier.isRelinked && { isRelinked }),
    wasThere: earlier.wasThere,
    ...(earlier.before !== undefined && { before: earlier.before, withMembers: earlier.withMembers }),
    ...(isQuiet && earlier.isQuiet && { isQuiet }),
  };
}

/** Entities whose rows were written: the database may have stored something else than they hold (defaults, triggers, rounding). */
const written = new WeakSet<object>();

export function wasWritten(entity: object): boolean {
  return written.has(entity);
}
