import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { RowData } from './model-change.js';
import { rowKey, snapshotOf } from './model-snapshot.js';

/** The rows that an upsert may find in its way: those with its key, or with the values of one of its unique properties. */
export async function conflictingRows(
  em: EntityManager,
  meta: EntityMetadata,
  data: object,
): Promise<ReadonlyMap<string, RowData>> {
  const conditions = uniqueSets(meta).flatMap((names) => {
    const values = names.map((name) => [name, Reflect.get(data, name) as unknown] as const);
    return values.some(([, value]) => value === undefined || value === null) ? [] : [Object.fromEntries(values)];
  });
  if (conditions.length === 0) return new Map();
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const rows = await fork.find(meta.class, { $or: conditions } as object, { filters: false });
  return new Map(rows.map((row) => [rowKey(meta, row), snapshotOf(fork, row)]));
}

function uniqueSets(meta: EntityMetadata): readonly (readonly string[])[] {
  const properties = meta.props.filter(({ unique }) => unique).map(({ name }) => [name]);
  const declared = meta.uniques.map(({ properties: names }) => [names ?? []].flat() as string[]);
  return [[...meta.primaryKeys], ...properties, ...declared.filter((names) => names.length > 0)];
}
