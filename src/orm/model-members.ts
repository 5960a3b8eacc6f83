import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import { Collection, helper, Utils } from '@mikro-orm/core';
import type { RowData } from './model-change.js';
import { primaryKeyOf } from './model-snapshot.js';

/** Rows whose many-to-many relations a flush changes -> the names of these relations. */
export type Relinked = ReadonlyMap<object, ReadonlySet<string>>;

/** The many-to-many relations that a row owns. */
export function ownedRelations(meta: EntityMetadata): readonly string[] {
  return meta.relations.filter(({ kind, owner }) => kind === 'm:n' && owner).map(({ name }) => name);
}

/** What relations hold in the database now, as lists of keys; read in the transaction, past the identity map. */
export async function readMembers(
  em: EntityManager,
  meta: EntityMetadata,
  pk: unknown,
  names: Iterable<string>,
): Promise<RowData> {
  const members: Record<string, unknown> = {};
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const row = fork.getReference(meta.class, pk as never);
  for (const name of names) {
    members[name] = (await collectionOf(row, name)).getIdentifiers();
  }
  return members;
}

/** Relations of a row that no pivot row can belong to yet. */
export function noMembers(names: Iterable<string>): RowData {
  return Object.fromEntries([...names].map((name) => [name, []]));
}

/** Whether the same keys are held, in whatever order. */
export function haveSameMembers(names: readonly string[], before: RowData, after: RowData): boolean {
  const sorted = (keys: unknown): string[] => (keys as unknown[]).map((key) => JSON.stringify(String(key))).sort();
  return names.every((name) => Utils.equals(sorted(before[name]), sorted(after[name])));
}

/**
 * The rows that own relations which hold rows that are removed: the database takes them out of the pivot tables. One query for
 * each relation that leads to such a row.
 */
export async function unlinkedBy(
  em: EntityManager,
  removed: ReadonlySet<object>,
  isWanted: (meta: EntityMetadata) => boolean,
): Promise<Relinked> {
  const unlinked = new Map<object, Set<string>>();
  if (removed.size === 0) return unlinked;
  for (const meta of [...em.getMetadata().getAll().values()].filter(isWanted)) {
    for (const { name, targetMeta } of meta.relations.filter(({ kind, owner }) => kind === 'm:n' && owner)) {
      const held = [...removed].filter((entity) => targetMeta && entity instanceof targetMeta.class);
      for (const owner of await ownersOfMembers(em, meta, name, held)) {
        unlinked.set(owner, (unlinked.get(owner) ?? new Set<string>()).add(name));
      }
    }
  }
  return unlinked;
}

async function ownersOfMembers(
  em: EntityManager,
  meta: EntityMetadata,
  name: string,
  members: readonly object[],
): Promise<readonly object[]> {
  if (members.length === 0) return [];
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const holding = { $or: members.map((member) => ({ [name]: primaryKeyOf(member) })) };
  const owners = await fork.find(meta.class, holding as never, { filters: false, fields: meta.primaryKeys as never });
  return owners.map((owner: object) => ofWriter(em, owner));
}

/** The rows that own what these collections change; those of a collection that was replaced unread are looked up. */
export async function relinkedBy(em: EntityManager, collections: readonly Collection<object>[]): Promise<Relinked> {
  const relinked = new Map<object, Set<string>>();
  for (const collection of collections) {
    const { property } = collection;
    if (property.kind !== 'm:n') continue;
    const name = property.owner ? property.name : property.mappedBy;
    if (!name) continue;
    for (const owner of await ownersOf(em, collection)) {
      relinked.set(owner, (relinked.get(owner) ?? new Set<string>()).add(name));
    }
  }
  return relinked;
}

async function ownersOf(em: EntityManager, collection: Collection<object>): Promise<readonly object[]> {
  const { property, owner } = collection;
  const snapshot = collection.getSnapshot();
  const before = new Set(snapshot ?? []);
  const touched = before.symmetricDifference(new Set(collection.getItems(false)));
  if (property.owner) return touched.size === 0 && snapshot ? [] : [owner];
  if (snapshot || !isStored(owner)) return [...touched];
  return [...new Set([...touched, ...(await storedOwners(em, collection))])];
}

async function storedOwners(em: EntityManager, { owner, property }: Collection<object>): Promise<readonly object[]> {
  const meta = helper(owner).__meta;
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  const row = fork.getReference(meta.class, primaryKeyOf(owner) as never);
  const collection = await collectionOf(row, property.name);
  return collection.getItems(false).map((item) => ofWriter(em, item));
}

/** The row of the writing entity manager: it is told with the values that this one gives it. */
function ofWriter(em: EntityManager, row: object): object {
  return em.getReference(helper(row).__meta.class, primaryKeyOf(row) as never);
}

/** Whether the row was there before this flush. */
export function isStored(entity: object): boolean {
  return helper(entity).__originalEntityData !== undefined || !helper(entity).isInitialized();
}

/** A reference has no collections before it is given them. */
async function collectionOf(row: object, name: string): Promise<Collection<object>> {
  const collection = Collection.create<object, object>(row, name as never, undefined, false);
  await collection.init({ ref: true, filters: false });
  return collection;
}
