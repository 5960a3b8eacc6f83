import {
  ChangeSetType,
  Collection,
  type EntityManager,
  type EntityMetadata,
  type EntityName,
  type EntityProperty,
  FlushMode,
  helper,
  Reference,
  RequestContext,
  TransactionContext,
} from '@mikro-orm/core';
import { runDetached } from '../async-context.js';
import type { Class } from '../metadata.js';
import { asStored, ModelQueries, type Reader } from './model-queries.js';
import { digest, findProp, primaryKeyOf, type StoredRow } from './row.js';

const none: readonly string[] = [];

/** The number of loads of each entity manager that are running and must not use the cache of results. */
const loading = new WeakMap<EntityManager, number>();

/** Runs a load without the cache: `populate` has no option for that, and reads by `find` of its entity manager. */
async function uncached(em: EntityManager, load: () => Promise<unknown>): Promise<void> {
  const { find } = Object.getPrototypeOf(em) as EntityManager;
  loading.set(em, (loading.get(em) ?? 0) + 1);
  const findStored = (entity: unknown, where: unknown, options: object): unknown =>
    Reflect.apply(find, em, [entity, where, { ...options, ...asStored }]);
  Reflect.set(em, 'find', findStored);
  try {
    await load();
  } finally {
    const left = (loading.get(em) ?? 1) - 1;
    loading.set(em, left);
    if (left === 0) Reflect.deleteProperty(em, 'find');
  }
}

/**
 * The framework's access to MikroORM. Every action, permission, observer and hook runs in a request context of its own, so that the single
 * injected EntityManager means this context's fork, and never that of another request.
 */
export class UnitOfWork {
  readonly #others: readonly EntityManager[];

  /** @param others the managers of further databases, each with a context name of its own */
  constructor(
    /** The entity manager of the default database: in a request context its fork. */
    readonly em: EntityManager,
    others: readonly EntityManager[] = [],
    /** Reads rows without entities. All units of work of an application share it, and so its prepared statements. */
    readonly queries = new ModelQueries(),
  ) {
    this.#others = others;
  }

  /** The unit of work of the database that has this entity. */
  of(entity: EntityName<object>): UnitOfWork {
    const has = (em: EntityManager): boolean => em.getMetadata().has(entity);
    const other = has(this.em) ? undefined : this.#others.find(has);
    if (!other) return this;
    return new UnitOfWork(other, [this.em, ...this.#others.filter((em) => em !== other)], this.queries);
  }

  /** Whether MikroORM knows the class, or one that extends it, in any of the databases. */
  knows(entity: Class): boolean {
    const isOf = ({ class: known }: EntityMetadata): boolean => known === entity || known?.prototype instanceof entity;
    return [this.em, ...this.#others].some((em) => [...em.getMetadata().getAll().values()].some(isOf));
  }

  /** The columns of an entity of this database; undefined if it has no such entity. */
  columnsOf(entity: EntityName<object>): ReadonlySet<string> | undefined {
    const meta = this.em.getMetadata().find(entity);
    return meta && new Set(meta.comparableProps.map(({ name }) => name));
  }

  /** The properties of an entity of this database; undefined if it has no such entity. */
  propertiesOf(entity: EntityName<object>): ReadonlySet<string> | undefined {
    const meta = this.em.getMetadata().find(entity);
    return meta && new Set(meta.props.map(({ name }) => name));
  }

  /** Runs work in a request context of its own, for every database. */
  run<T>(work: () => T): T {
    return this.#runIn(new Forks(this), work);
  }

  #runIn<T>(forks: Forks, work: () => T): T {
    return RequestContext.create([], () => {
      const context: { map: Map<string, EntityManager> } | undefined = RequestContext.currentRequestContext();
      if (context) context.map = forks;
      return work();
    });
  }

  /**
   * Runs work in a request context and a transaction of its own, and commits when the work resolves.
   *
   * @param signal ends the wait for the running query and refuses all further ones. Without it, abandoned work could send a query after the
   * rollback, when no transaction holds it any more.
   */
  runAtomic<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.run(() => this.em.transactional(work, { signal }));
  }

  /** Like `run`, with a row as the change log has it. Reads do not flush: what the ORM links while it loads relations is no change. */
  runWith<T>(meta: EntityMetadata, row: StoredRow, schema: string | undefined, work: (row: LoggedRow) => T): T {
    return this.#runIn(new Forks(this, FlushMode.COMMIT), () => work(new LoggedRow(this.em, meta, row, schema)));
  }

  /** Loads relations and lazy columns that entities do not have yet, as they are stored. The paths are those of MikroORM's `populate`. */
  async load(entities: readonly object[], paths: readonly string[]): Promise<void> {
    if (entities.length === 0 || paths.length === 0) return;
    const { connectionType } = asStored;
    await uncached(this.em.getContext(), () => this.em.populate([...entities], paths as never, { connectionType }));
    for (const path of paths) await this.#loadEmbedded(entities, path.split('.'));
  }

  /** Loads lazy values inside of JSON, which `populate` skips. */
  async #loadEmbedded(entities: readonly object[], [name = '', ...inner]: readonly string[]): Promise<void> {
    const [first] = entities;
    const prop = first && propertyOf(first, name);
    if (!first || !prop) return;
    if (inner.length > 0)
      return this.#loadEmbedded(
        entities.flatMap((entity) => related(entity, name)),
        inner,
      );
    const missing = entities.filter((entity) => Reflect.get(entity, name) === undefined);
    if (prop.kind !== 'embedded' || !prop.lazy || missing.length === 0) return;
    const meta = helper(first).__meta;
    const [key, ...others] = meta.primaryKeys;
    const keyOf = (entity: object): unknown =>
      others.length > 0 ? primaryKeyOf(entity) : { [key ?? '']: primaryKeyOf(entity) };
    const options = { ...asStored, fields: [name], filters: false };
    await this.em.find(meta.class, { $or: missing.map(keyOf) } as never, options as never);
  }

  /**
   * What a flush of this context would write: `Room.name`, `Room.members`, `new Room`, `removed Room`. It compares every loaded row with
   * what was read, as a flush does; a context that has loaded nothing costs nothing.
   */
  unflushed(): readonly string[] {
    const forks = RequestContext.currentRequestContext()?.map;
    return forks && forks.size > 0 ? [...forks.values()].flatMap(unflushedIn) : none;
  }

  /**
   * Forgets all loaded entities. If everything has been flushed, what the ORM has linked since, while it loaded relations, is no change.
   */
  forget(): void {
    this.em.getContext(false).clear();
  }

  /** Writes pending changes, inside the transaction if there is one. */
  flush(): Promise<void> {
    return this.em.flush();
  }

  /** Whether the code of this context is in a transaction. Where it has used no manager, none is made to ask it. */
  get isInTransaction(): boolean {
    return !this.#isUnused && this.em.isInTransaction();
  }

  /** Whether the code of this context has used no manager of this database, and is in no transaction. */
  get #isUnused(): boolean {
    const forks = RequestContext.currentRequestContext()?.map;
    return forks instanceof Forks && !forks.has(this.em.name) && !TransactionContext.currentTransactionContext();
  }

  /** Whether code of this context has used an entity manager, or is in a transaction. */
  get isUsed(): boolean {
    const forks = RequestContext.currentRequestContext()?.map;
    return !(forks instanceof Forks) || forks.size > 0 || TransactionContext.currentTransactionContext() !== undefined;
  }

  /**
   * The manager that plain rows are read through: that of this context. If the context has used none, there is nothing to flush, and the
   * root manager serves, which is cheaper than a fork.
   */
  get reader(): Reader {
    const { em } = this;
    if (this.#isUnused) return { em, transaction: undefined, schema: runDetached(() => em.schema), isUsed: false };
    const context = em.getContext();
    return { em: context, transaction: context.getTransactionContext(), schema: context.schema, isUsed: true };
  }

  /** A manager for a new context. It begins with no state of the surrounding context. */
  fork(name: string, flushMode?: FlushMode): EntityManager | undefined {
    const root = [this.em, ...this.#others].find((em) => em.name === name);
    return root && runDetached(() => root.fork({ useContext: true, ...(flushMode && { flushMode }) }));
  }
}

/** A row of the change log. Its entity is made on the first access, in the request context of that moment. */
export class LoggedRow {
  /** The primary key as the entity shows it. */
  readonly key: unknown;
  #entity: object | undefined;

  constructor(
    private readonly em: EntityManager,
    readonly meta: EntityMetadata,
    readonly stored: StoredRow,
    readonly schema: string | undefined,
  ) {
    this.key = this.#keyOf(meta);
  }

  get entity(): object {
    this.#entity ??= restore(this.em.getContext(), this.meta, this.stored, this.schema);
    return this.#entity;
  }

  #keyOf(meta: EntityMetadata): unknown {
    const [only, ...others] = meta.getPrimaryProps();
    if (!only || others.length > 0 || only.targetMeta) return primaryKeyOf(this.entity);
    const value = this.stored.columns[only.fieldNames[0] ?? ''];
    const { customType, runtimeType } = only;
    if (customType) return customType.convertToJSValue(value, this.em.getDriver().getPlatform());
    return runtimeType === 'Date' ? primaryKeyOf(this.entity) : value;
  }
}

function propertyOf(entity: object, name: string): EntityProperty | undefined {
  return findProp(helper(entity).__meta, name);
}

/** The entities of a relation that is loaded. */
function related(entity: object, name: string): readonly object[] {
  const value: unknown = Reflect.get(entity, name);
  if (value instanceof Collection) return value.getItems(false);
  const one = value instanceof Reference ? value.unwrap() : value;
  return one ? [one as object] : [];
}

/** Makes an entity of a row's values, as a read would have made it. The manager manages it, so that its relations can be loaded. */
export function restore(em: EntityManager, meta: EntityMetadata, row: StoredRow, schema: string | undefined): object {
  const stored = Object.entries(row.columns).filter(([name]) => !name.startsWith(digest));
  const data = em.getDriver().mapResult(Object.fromEntries(stored) as never, meta) ?? {};
  return em.getEntityFactory().create(meta.class, { ...data, ...row.members } as never, {
    convertCustomTypes: true,
    merge: true,
    refresh: true,
    ...(schema !== undefined && { schema }),
  });
}

/** The managers of one request context, by name. Most requests and events need none, so each is forked on first use. */
class Forks extends Map<string, EntityManager> {
  /** @param flushMode default: the ORM's */
  constructor(
    private readonly unitOfWork: UnitOfWork,
    private readonly flushMode?: FlushMode,
  ) {
    super();
  }

  override get(name: string): EntityManager | undefined {
    const known = super.get(name);
    if (known) return known;
    const fork = this.unitOfWork.fork(name, this.flushMode);
    if (fork) this.set(name, fork);
    return fork;
  }
}

function unflushedIn(em: EntityManager): readonly string[] {
  const unitOfWork = em.getUnitOfWork(false);
  unitOfWork.computeChangeSets();
  const rows = [...unitOfWork.getChangeSets()].flatMap(({ type, meta, payload }) => {
    if (type === ChangeSetType.CREATE) return `new ${meta.className}`;
    if (type === ChangeSetType.DELETE || type === ChangeSetType.DELETE_EARLY) return `removed ${meta.className}`;
    return Object.keys(payload).map((property) => `${meta.className}.${property}`);
  });
  const collections = unitOfWork
    .getCollectionUpdates()
    .filter(isWrittenByItself)
    .map(({ owner, property }) => `${helper(owner).__meta.className}.${property.name}`);
  return [...new Set([...rows, ...collections])];
}

/**
 * Whether a flush writes the collection itself. It does not write a loaded collection of rows that hold the foreign key: it writes those
 * rows, which are listed already.
 */
function isWrittenByItself(collection: Collection<object>): boolean {
  const { property } = collection;
  if (property.kind === 'm:n' || collection.getSnapshot() === undefined) return true;
  return collection.getItems(false).some((item) => !helper(item).isInitialized());
}
