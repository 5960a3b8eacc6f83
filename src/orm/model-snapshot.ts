import type { EntityData, EntityManager, EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { helper, LockMode } from '@mikro-orm/core';
import type { RowData } from './model-change.js';

/** The columns of an entity as they stand now. */
export function snapshotOf(em: EntityManager, entity: object): RowData {
  const { __meta: meta, __platform: platform } = helper(entity);
  const columns: Record<string, unknown> = { ...em.getComparator().prepareEntity(entity) };
  // The comparator leaves out what no flush writes.
  for (const { name, version, customType } of meta.props.filter((prop) => prop.version || isDerived(prop))) {
    const value: unknown = Reflect.get(entity, name);
    if (value !== undefined)
      columns[name] = customType && !version ? customType.convertToDatabaseValue(value, platform, {}) : value;
  }
  return columns;
}

/** Whether every column that is loaded by default is there. */
export function isComplete(meta: EntityMetadata, data: RowData | undefined): data is RowData {
  if (!data) return false;
  const isThere = (prop: EntityProperty): boolean => Boolean(prop.lazy) || prop.name in data;
  return (
    meta.props.filter(isDerived).every(isThere) &&
    meta.comparableProps.every((prop) => prop.persist === false || prop.embedded || isThere(prop))
  );
}

/** Whether the database works out columns of the row, so that only the row itself can tell them after a write. */
export function hasDerivedColumns(meta: EntityMetadata): boolean {
  return meta.props.some((prop) => isDerived(prop) && !prop.lazy);
}

function isDerived({ formula, generated, primary }: EntityProperty): boolean {
  return Boolean(formula || (generated && !primary));
}

/** Reads a row inside the transaction that is about to change it, past the identity map that holds the new values. */
export async function readRow(
  em: EntityManager,
  meta: EntityMetadata,
  pk: unknown,
  isLocked = false,
): Promise<RowData | undefined> {
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  // A join of an eager relation could not be locked.
  const lock = isLocked && fork.isInTransaction() && { lockMode: LockMode.PESSIMISTIC_WRITE, strategy: 'select-in' };
  const find = (): Promise<object | null> =>
    fork.findOne(meta.class, pk as object, { filters: false, ...lock } as object);
  // Who waited for the lock on a row that was deleted then, finds what has its key now by a statement of its own.
  const row = (await find()) ?? (lock ? await find() : null);
  return row ? snapshotOf(fork, row) : undefined;
}

/** The primary key as the entity shows it: a value, or an object for a composite one. */
export function primaryKeyOf(entity: object): unknown {
  const { __meta: meta } = helper(entity);
  const key: unknown = helper(entity).getPrimaryKey();
  // The ORM gives a list where a part is a relation.
  return meta.compositePK && Array.isArray(key)
    ? Object.fromEntries(meta.primaryKeys.map((name, index) => [name, key[index] as unknown]))
    : key;
}

/** A string that tells a row from every other row of every other table. */
export function rowKey(meta: EntityMetadata, entity: object): string {
  return `${meta.root.className}:${helper(entity).getSerializedPrimaryKey()}`;
}

/** An entity with a row's values, managed by a fork of its own so that its relations can be loaded. */
export function restore(em: EntityManager, entity: object, data: RowData): object {
  const meta = em.getMetadata(entity as never) as EntityMetadata;
  return em.getEntityFactory().create(meta.class, parsedJson(meta, data) as EntityData<object>, {
    convertCustomTypes: true,
    merge: true,
    refresh: true,
  });
}

/** Snapshots hold JSON columns as text, which the entity factory takes for the value. */
function parsedJson(meta: EntityMetadata, data: RowData): RowData {
  const parsed: Record<string, unknown> = { ...data };
  for (const prop of meta.comparableProps) {
    const value = parsed[prop.name];
    const isJson = prop.customType?.constructor.name === 'JsonType';
    if (isJson && typeof value === 'string') parsed[prop.name] = JSON.parse(value);
  }
  return parsed;
}
