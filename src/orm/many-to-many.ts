import type { EntityManager, EntityMetadata, EntityProperty, FlushEventArgs } from '@mikro-orm/core';
import { Collection, helper } from '@mikro-orm/core';
import { asStored } from './model-queries.js';
import { inverseOf, primaryKeyOf } from './row.js';

/**
 * The rows whose many-to-many relations a flush is about to change, without changing a column of them: the rows on both sides of each link
 * that collections or removed rows add or remove.
 *
 * @param isObserved whether rows of a model have to be found; rows of other models are left out
 */
export async function relinkedRows(
  { em, uow }: FlushEventArgs,
  isObserved: (meta: EntityMetadata) => boolean,
): Promise<ReadonlySet<object>> {
  const removed = uow.getRemoveStack();
  const rows = new Set<object>();
  for (const collection of uow.getCollectionUpdates()) {
    const { property } = collection;
    if (property.kind !== 'm:n') continue;
    const owner = helper(collection.owner).__meta;
    const other = property.targetMeta;
    const wantsOther = other !== undefined && isObserved(other) && isDeclared(inverseOf(property));
    if (!isObserved(owner) && !wantsOther) continue;
    const touched = await touchedBy(em, collection);
    if (touched.size === 0) continue;
    if (isObserved(owner)) rows.add(collection.owner);
    if (wantsOther) for (const item of touched) rows.add(item);
  }
  for (const row of await holdersOf(em, removed, isObserved)) rows.add(row);
  for (const row of removed) rows.delete(row);
  return rows;
}

/**
 * The rows at the other end of the links that a collection adds or removes; if the collection was replaced without being loaded, all its
 * former members.
 */
async function touchedBy(em: EntityManager, collection: Collection<object>): Promise<ReadonlySet<object>> {
  const snapshot = collection.getSnapshot();
  const now = new Set(collection.getItems(false));
  if (snapshot) return new Set(snapshot).symmetricDifference(now);
  if (!isStored(collection.owner)) return now;
  return now.union(new Set(await storedMembers(em, collection.owner, collection.property)));
}

/** The observed rows that the database unlinks because the rows they are linked to are removed. */
async function holdersOf(
  em: EntityManager,
  removed: ReadonlySet<object>,
  isObserved: (meta: EntityMetadata) => boolean,
): Promise<readonly object[]> {
  const holders: object[] = [];
  if (removed.size === 0) return holders;
  for (const meta of [...em.getMetadata().getAll().values()].filter((each) => each.class && isObserved(each))) {
    for (const prop of manyToMany(meta)) {
      const held = [...removed].filter((row) => prop.targetMeta?.class && row instanceof prop.targetMeta.class);
      if (held.length > 0) holders.push(...(await holding(em, meta, prop.name, held)));
    }
  }
  return holders;
}

async function holding(
  em: EntityManager,
  meta: EntityMetadata,
  name: string,
  members: readonly object[],
): Promise<readonly object[]> {
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const where = { $or: members.map((member) => ({ [name]: primaryKeyOf(member) })) };
  const options = { ...asStored, filters: false, fields: meta.primaryKeys as never } as const;
  const found = await fork.find(meta.class, where as never, options);
  return found.map((row: object) => ofWriter(em, row));
}

async function storedMembers(em: EntityManager, owner: object, prop: EntityProperty): Promise<readonly object[]> {
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const row = fork.getReference(helper(owner).__meta.class, primaryKeyOf(owner) as never);
  const collection = Collection.create<object, object>(row, prop.name as never, undefined, false);
  await collection.init({ ref: true, filters: false });
  return collection.getItems(false).map((item) => ofWriter(em, item));
}

function ofWriter(em: EntityManager, row: object): object {
  return em.getReference(helper(row).__meta.class, primaryKeyOf(row) as never);
}

/** The many-to-many relations that a class declares, without the inverse sides that MikroORM adds. */
export function manyToMany(meta: EntityMetadata): readonly EntityProperty[] {
  return meta.relations.filter((prop) => prop.kind === 'm:n' && isDeclared(prop));
}

function isDeclared({ hydrate }: EntityProperty): boolean {
  return hydrate !== false;
}

/** Whether the row existed before this flush. */
export function isStored(entity: object): boolean {
  return helper(entity).__originalEntityData !== undefined || !helper(entity).isInitialized();
}

/** One end of a link that has a class of its own. */
export interface LinkEnd {
  readonly meta: EntityMetadata;
  /** The relation of the link's class that leads to this end. */
  readonly property: string;
}

/** The classes that are tables of many-to-many relations, with both ends of their links. */
export function linkClasses(em: EntityManager): ReadonlyMap<string, readonly LinkEnd[]> {
  const links = new Map<string, readonly LinkEnd[]>();
  for (const meta of em.getMetadata().getAll().values()) {
    for (const prop of meta.relations.filter(({ kind, owner }) => kind === 'm:n' && owner)) {
      const pivot = em.getMetadata().find(prop.pivotEntity as never) as EntityMetadata | undefined;
      if (!pivot) continue;
      const ends = [
        { meta, columns: prop.joinColumns },
        { meta: prop.targetMeta ?? inverseOf(prop).targetMeta, columns: prop.inverseJoinColumns },
      ];
      const found = ends.flatMap(({ meta: end, columns }) => {
        const relation = pivot.relations.find(({ fieldNames }) => String(fieldNames) === String(columns));
        return end && relation ? [{ meta: end, property: relation.name }] : [];
      });
      links.set(pivot.className, found);
    }
  }
  return links;
}
