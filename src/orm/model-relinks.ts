import type { EntityManager, EntityMetadata, FlushEventArgs } from '@mikro-orm/core';
import { helper } from '@mikro-orm/core';
import type { RowData } from './model-change.js';
import {
  haveSameMembers,
  isStored,
  noMembers,
  ownedRelations,
  readMembers,
  relinkedBy,
  unlinkedBy,
} from './model-members.js';
import { isComplete, primaryKeyOf, readRow, snapshotOf } from './model-snapshot.js';

/** A row whose many-to-many relations a flush changed, and maybe nothing else of it. */
export interface RelinkedRow {
  readonly owner: object;
  readonly before: RowData;
  readonly after: RowData;
}

/** What each entity manager's flush does to many-to-many relations, which change no column of the rows that own them. */
export class ModelRelinks {
  readonly #before = new WeakMap<EntityManager, ReadonlyMap<object, RowData>>();
  readonly #isObserved: (meta: EntityMetadata) => boolean;
  readonly #groupsVary: (meta: EntityMetadata) => boolean;

  /**
   * @param isObserved who holds a row that is removed is asked for these models only
   * @param groupsVary groups may be derived from any relation of these models, so that all of them are read
   */
  constructor(isObserved: (meta: EntityMetadata) => boolean, groupsVary: (meta: EntityMetadata) => boolean) {
    this.#isObserved = isObserved;
    this.#groupsVary = groupsVary;
  }

  /** Reads what the relations hold before the flush writes. */
  async flushing({ em, uow }: FlushEventArgs): Promise<void> {
    const removed = uow.getRemoveStack();
    const before = new Map<object, RowData>();
    const relinked = await relinkedBy(em, uow.getCollectionUpdates());
    const unlinked = await unlinkedBy(em, removed, this.#isObserved);
    for (const [owner, changed] of [...relinked, ...unlinked]) {
      if (removed.has(owner)) continue;
      const { __meta: meta } = helper(owner);
      const names = this.#groupsVary(meta) ? ownedRelations(meta) : changed;
      const members = isStored(owner) ? await readMembers(em, meta, primaryKeyOf(owner), names) : noMembers(names);
      before.set(owner, { ...before.get(owner), ...members });
    }
    // Always: a flush that failed has left its own behind.
    this.#before.set(em, before);
  }

  /** The rows whose relations do not hold any more what they held; told once. */
  async take(em: EntityManager): Promise<readonly RelinkedRow[]> {
    const noted = this.#before.get(em);
    this.#before.delete(em);
    const rows: RelinkedRow[] = [];
    for (const [owner, before] of noted ?? []) {
      const { __meta: meta } = helper(owner);
      const names = Object.keys(before);
      const after = await readMembers(em, meta, primaryKeyOf(owner), names);
      if (haveSameMembers(names, before, after)) continue;
      const known = snapshotOf(em, owner);
      const row = isComplete(meta, known) ? known : await readRow(em, meta, primaryKeyOf(owner));
      if (row) rows.push({ owner, before: { ...row, ...before }, after: { ...row, ...after } });
    }
    return rows;
  }
}
