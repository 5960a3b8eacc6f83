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
  /** The ids of the observers and rules that receive it. */
  readonly names: readonly string[];
  /** The payload in the form that `encodePayload` makes. */
  readonly payload: string;
  readonly origin?: string;
}

/** A `recheck()` that the transaction's code called for subscriptions. */
export interface LoggedRecheck {
  readonly observer: string;
  readonly groups: readonly string[];
  readonly origin?: string;
  /** The application that has already rechecked its own subscriptions, because the call was made outside of any transaction. */
  readonly source?: string;
}

/**
 * What a transaction has done to one row. The new state of the row is not part of it: the statement that ends the transaction reads that
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
  /** Whether the text includes the members of many-to-many relations. */
  readonly withMembers: boolean;
  /** Whether the change becomes an event only if the row's text differs. */
  readonly isQuiet?: boolean;
  /** Whether only the members of its many-to-many relations have changed. */
  readonly isRelinked?: boolean;
  /**
   * Whether the row must still be there when the transaction ends. If it is not found then, a policy hides it or the database has deleted
   * it.
   */
  readonly isThere?: boolean;
  /** Whether the application announced a delete that it will run later. */
  readonly isGoing?: boolean;
  /** The request that made the change; undefined outside of requests. */
  readonly origin?: string;
}

/** What a transaction or savepoint will write to the change log when it commits. */
export class Stage {
  readonly rows = new Map<string, RowNote>();
  readonly signals: LoggedSignal[] = [];
  readonly rechecks: LoggedRecheck[] = [];
  readonly works: (() => unknown)[] = [];

  /** @param parent the stage of the enclosing transaction, for a savepoint */
  constructor(readonly parent?: Stage) {}

  get isEmpty(): boolean {
    return this.rows.size + this.signals.length + this.rechecks.length === 0;
  }

  note(note: RowNote): void {
    const name = nameOf(note);
    const earlier = this.rows.get(name);
    this.rows.set(name, earlier ? merged(earlier, note) : note);
  }

  /** Hands everything to the enclosing transaction, when its savepoint is released. */
  release(): void {
    for (const note of this.rows.values()) this.parent?.note(note);
    this.parent?.signals.push(...this.signals);
    this.parent?.rechecks.push(...this.rechecks);
    this.parent?.works.push(...this.works);
  }
}

/** MikroORM's context of a transaction; a savepoint is a context with a name. */
export interface TransactionContext {
  readonly savepointName?: string;
}

/** The part of MikroORM's transaction events that the buffer needs. */
export interface TransactionEvent {
  readonly em: TransactionOwner;
  readonly transaction?: TransactionContext;
}

interface TransactionOwner {
  getTransactionContext(): object | undefined;
}

/**
 * Keeps one stage per open transaction and savepoint of a database. A savepoint that is rolled back drops its stage; the stage of the
 * outermost transaction is taken just before its COMMIT.
 */
export class CommitBuffer {
  /** Weak, because MikroORM reports neither commit nor rollback for a killed connection. */
  readonly #stages = new WeakMap<object, Stage>();
  readonly #around = new WeakMap<object, object>();

  /** The stage that this entity manager writes to now. Outside of a transaction each manager has its own stage. */
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

  /** Takes the stage out of the buffer. Later changes of the transaction go to a new stage. */
  take(transaction: object): Stage {
    const stage = this.find(transaction);
    this.#stages.delete(transaction);
    return stage;
  }

  /** The transaction in which a savepoint of the manager begins. */
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

/** What the applications of this process need to know of an entity that they observe. */
export interface Watch {
  /** Whether an observer needs the row before a change and the former members of its many-to-many relations. */
  readonly needsBefore: boolean;
}

/**
 * Flush -> commit buffer. Notes which rows each flush changes. Where an observer needs the row before the change, it reads that row under
 * its lock. It does not see writes that the ORM does not report: bulk inserts, native queries, raw SQL.
 */
export class ChangeCapture implements EventSubscriber {
  /** The watches of the entities that an application observes. */
  watches: ReadonlyMap<EntityClass<object>, Watch> = new Map();
  readonly #links: ReadonlyMap<string, readonly LinkEnd[]>;
  /** The note of each entity whose row is about to be written. A flush that fails leaves its notes here. */
  readonly #before = new WeakMap<object, RowNote>();
  readonly #relinked = new WeakMap<EntityManager, ReadonlySet<object>>();
  readonly #upserted = new WeakMap<EntityManager, Map<string, unknown>>();
  /** Managers that have noted changes in a transaction whose end MikroORM does not report to us. */
  readonly #loose = new WeakSet<object>();
  readonly #begun = new WeakSet<object>();

  /**
   * @param writeLoose writes what was noted outside of any transaction that the framework has seen
   * @param wantsTransaction is also called for managers of other databases
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
    watchUpdates(em.getDriver());
  }

  /**
   * Notes rows whose write the ORM will not report. It locks and reads them before the write; each becomes an event if it differs
   * afterwards.
   */
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

  /** Notes rows that the application has already written, or will soon delete. */
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

  /** Whether rows of the class link two other rows, which then count as updated. */
  isLink({ className }: EntityMetadata): boolean {
    return this.#links.has(className);
  }

  /** Links change no column: the rows at both of their ends count as updated. */
  async onFlush(event: FlushEventArgs): Promise<void> {
    for (const { owner } of event.uow.getCollectionUpdates()) written.add(owner);
    const rows = await relinkedRows(event, (meta) => this.#watch(meta) !== undefined);
    if (rows.size === 0) return;
    if (event.em.getTransactionContext()) await this.#noteRelinked(event.em, rows);
    // The transaction of this flush has not begun yet.
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

  /** Whether we hear of the transaction's end. A savepoint ends with its enclosing transaction, which MikroORM may not have begun. */
  #hearsEnd({ em, transaction }: TransactionEvent): boolean {
    if (!transaction?.savepointName) return true;
    const around = this.buffer.around(em);
    return around !== undefined && this.#begun.has(around);
  }

  /** Releases a savepoint. The outermost transaction is taken just before its COMMIT is sent. */
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
    this.#before.delete(entity);
    const meta = ownMeta(entity);
    await this.#noteLinks(em, entity, meta, changeSet?.originalEntity);
    const watch = this.#watch(meta);
    if (!watch) return;
    const { needsBefore } = watch;
    const key = changeSet ? flat(changeSet.getPrimaryKey()) : keyOf(entity);
    const schema = schemaOf(em, meta, entity);
    const isMoved = String(key) !== String(keyOf(entity));
    const note = { meta, schema, key, wasThere: true, withMembers: needsBefore };
    if (isMoved || needsBefore) await this.#lockBefore(em, entity, note);
    else this.#before.set(entity, note);
  }

  /** If another transaction has deleted the row already, that transaction reports the delete, and this one finds nothing to write. */
  async #lockBefore(em: EntityManager, entity: object, note: RowNote): Promise<void> {
    const { meta, schema, key, withMembers } = note;
    const [before] = await this.rows.lock(em, meta, schema, [key], withMembers);
    if (before !== undefined) this.#before.set(entity, { ...note, before });
  }

  /** A row whose key has changed counts as deleted under the old key and created under the new one. */
  async afterUpdate({ em, entity }: EventArgs<object>): Promise<void> {
    const meta = ownMeta(entity);
    written.add(entity);
    const before = this.#before.get(entity);
    this.#before.delete(entity);
    if (!before || (await this.#isMissing(em, before))) return;
    const row = this.#rowOf(em, entity, meta, { needsBefore: before.withMembers });
    const isMoved = String(row.key) !== String(before.key);
    this.#note(em, { ...before, isThere: !isMoved });
    if (isMoved) this.#note(em, { ...row, wasThere: false, isThere: true });
  }

  /** Whether an update that did not lock its row before has found none: the transaction that has deleted the row reports the delete. */
  async #isMissing(em: EntityManager, { meta, schema, key, before }: RowNote): Promise<boolean> {
    const transaction = em.getTransactionContext();
    if (before !== undefined || !transaction || !missing.has(transaction)) return false;
    const [row] = await this.rows.lock(em, meta, schema, [key], false);
    return row === undefined;
  }

  async beforeDelete({ em, entity, meta }: EventArgs<object>): Promise<void> {
    this.#before.delete(entity);
    await this.#noteLinks(em, entity, meta, em.getUnitOfWork(false).getOriginalEntityData(entity));
    const watch = this.#watch(meta);
    if (!watch) return;
    await this.#lockBefore(em, entity, { ...this.#rowOf(em, entity, meta, watch), wasThere: true });
  }

  afterDelete({ em, entity }: EventArgs<object>): void {
    const before = this.#before.get(entity);
    if (before) this.#note(em, before);
  }

  /** An upsert updates the row that it finds by its key or by a unique property; if there is none, it creates one. */
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
    // MikroORM did not begin this transaction.
    if (this.#loose.delete(em)) await this.writeLoose(em);
  }

  async afterFlush({ em }: FlushEventArgs): Promise<void> {
    if (this.#loose.delete(em)) await this.writeLoose(em);
  }

  /** The watch of a class. Tables of many-to-many relations without a class of their own have no observer. */
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

  /**
   * Locks the rows in the order of their keys before the links are written, so that another writer of a link of one of these rows waits
   * here.
   */
  async #noteRelinked(em: EntityManager, rows: Iterable<object>, transaction?: object): Promise<void> {
    // The key of a row that is not stored yet may be missing, and the application's types need not expect that.
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

type Update = (
  this: unknown,
  entity: unknown,
  where: unknown,
  data: unknown,
  options?: { readonly ctx?: object },
  ...more: unknown[]
) => Promise<{ readonly affectedRows: number }>;

/** Transactions with an update that has affected fewer rows than it named. */
const missing = new WeakSet<object>();

const watched = new WeakSet<object>();

/**
 * MikroORM's events do not say whether an update has found its row, and to lock each row before would cost a round trip. Wraps the
 * prototype once, for all drivers of a kind.
 */
function watchUpdates(driver: object): void {
  const prototype = Object.getPrototypeOf(driver) as object;
  if (watched.has(prototype)) return;
  watched.add(prototype);
  for (const name of ['nativeUpdate', 'nativeUpdateMany']) {
    const update = Reflect.get(prototype, name) as Update;
    const value: Update = async function (entity, where, data, options, ...more) {
      const result = await update.call(this, entity, where, data, options, ...more);
      const named = name === 'nativeUpdateMany' && Array.isArray(where) ? where.length : 1;
      if (options?.ctx && result.affectedRows < named) missing.add(options.ctx);
      return result;
    };
    Object.defineProperty(prototype, name, { configurable: true, writable: true, value });
  }
}

/** If a class and its parent have a table each, MikroORM reports a write to the parent's table as one of the parent class. */
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

/** The schema of the entity; undefined if the table has the same schema for all rows. */
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

/** Identifies a row by the root of its class, its schema and its key: rows of a subclass are rows of the root's table. */
function nameOf({ meta, schema, key }: RowNote): string {
  return JSON.stringify([meta.root.className, schema, key.map(String)]);
}

/** Merges two changes of a row in one transaction: the row was there if it was there before the first change. */
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

/** Entities whose rows were written: the database may have stored other values than they hold (defaults, triggers, rounding). */
const written = new WeakSet<object>();

export function wasWritten(entity: object): boolean {
  return written.has(entity);
}
