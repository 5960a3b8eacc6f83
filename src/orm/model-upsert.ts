import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import { LockMode } from '@mikro-orm/core';
import { asStored } from './model-queries.js';

/**
 * The rows that an upsert may find in its way: those with its key, or with the values of one of its unique properties.
 * This waits for a transaction that is writing them, as the upsert itself would do, because what was read before that would be stale.
 */
export async function conflictingRows(
  em: EntityManager,
  meta: EntityMetadata,
  data: object,
): Promise<readonly object[]> {
  const conditions = uniqueSets(meta).flatMap((names) => {
    const values = names.map((name) => [name, Reflect.get(data, name) as unknown] as const);
    return values.some(([, value]) => value === undefined || value === null) ? [] : [Object.fromEntries(values)];
  });
  if (conditions.length === 0) return [];
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const find = (locking: EntityManager): Promise<object[]> => lockedRows(locking, meta, { $or: conditions });
  return fork.isInTransaction() ? find(fork) : fork.transactional(find);
}

async function lockedRows(em: EntityManager, meta: EntityMetadata, where: object): Promise<object[]> {
  // A join of an eager relation could not be locked.
  const lock = em.isInTransaction() && { lockMode: LockMode.PESSIMISTIC_WRITE, strategy: 'select-in' };
  const find = (): Promise<object[]> => em.find(meta.class, where, { ...asStored, filters: false, ...lock } as object);
  const rows = await find();
  // A transaction that waited for the lock on a row, which was then deleted, finds the row with its key now by a second statement.
  return rows.length > 0 ? rows : find();
}

function uniqueSets(meta: EntityMetadata): readonly (readonly string[])[] {
  const properties = meta.props.filter(({ unique }) => unique).map(({ name }) => [name]);
  const declared = meta.uniques.map(({ properties: names }) => [names ?? []].flat() as string[]);
  return [[...meta.primaryKeys], ...properties, ...declared.filter((names) => names.length > 0)];
}
