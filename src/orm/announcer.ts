import { type EntityMetadata, type Primary, Utils } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import { announced } from './announced.js';
import type { RowData } from './model-change.js';
import { haveSameMembers, ownedRelations, readMembers } from './model-members.js';
import { readRow } from './model-snapshot.js';
import type { ModelSubscriber } from './model-subscriber.js';
import type { UnitOfWork } from './unit-of-work.js';

/**
 * Announces writes that the ORM reports to no subscriber: `nativeUpdate`, `nativeDelete`, `insertMany`, the query builder, raw
 * SQL, what the database cascades. Injected; inside a transaction it is told after the commit, as any other change.
 *
 * ```ts
 * await this.announcer.announcing(Thing, [1, 2], () => this.em.nativeUpdate(Thing, { id: [1, 2] }, { shelf: 3 }));
 * ```
 *
 * ```json
 * {"errors": [], "data": {"id": 1, "shelf": 3}, "action": "update", "response_status": 200, "request_id": 7}
 * ```
 */
export class Announcer {
  readonly #unitOfWork: UnitOfWork;
  readonly #subscriber: ModelSubscriber;

  /** Made by the application. */
  constructor(unitOfWork: UnitOfWork, subscriber: ModelSubscriber) {
    this.#unitOfWork = unitOfWork;
    this.#subscriber = subscriber;
  }

  /**
   * Runs a write and announces what it did to these rows: created, updated with the groups before and after, or deleted.
   * Rows that it left as they were are not announced. Where others may write these rows meanwhile, run it in a transaction.
   */
  async announcing<Entity extends object, Result>(
    model: ConcreteClass<Entity>,
    keys: readonly Primary<Entity>[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    const before = await this.#read(model, keys);
    const result = await announced.run(true, work);
    const after = await this.#read(model, keys);
    this.#tell(model, keys, before, after);
    return result;
  }

  /**
   * Announces rows that are written already. An update tells the row as it is, in the groups that it has now; a delete is
   * announced before it is done, because the groups of the row are known only then. `'delete'` before and `'create'` after
   * are one update within one transaction.
   */
  async announce<Entity extends object>(
    model: ConcreteClass<Entity>,
    keys: readonly Primary<Entity>[],
    action: 'create' | 'update' | 'delete',
  ): Promise<void> {
    const rows = await this.#read(model, keys);
    const none = keys.map(() => undefined);
    this.#tell(model, keys, action === 'create' ? none : rows, action === 'delete' ? none : rows, true);
  }

  async #read(model: ConcreteClass, keys: readonly unknown[]): Promise<readonly (RowData | undefined)[]> {
    const em = this.#unitOfWork.of(model).em.getContext(false);
    const meta = em.getMetadata(model) as EntityMetadata;
    const rows: (RowData | undefined)[] = [];
    for (const key of keys) {
      const row = await readRow(em, meta, key);
      // Whether or not groups are derived from them: a write of the pivot table changes nothing else.
      rows.push(row && { ...row, ...(await readMembers(em, meta, key, ownedRelations(meta))) });
    }
    return rows;
  }

  #tell(
    model: ConcreteClass,
    keys: readonly unknown[],
    before: readonly (RowData | undefined)[],
    after: readonly (RowData | undefined)[],
    isForced = false,
  ): void {
    const em = this.#unitOfWork.of(model).em.getContext(false);
    const relations = ownedRelations(em.getMetadata(model) as EntityMetadata);
    keys.forEach((key, index) => {
      if (isForced || !isSame(relations, before[index], after[index]))
        this.#subscriber.stageRow(em, model, key, before[index], after[index]);
    });
    this.#subscriber.releaseLoose(em);
  }
}

/** Columns are compared as they are, the members of relations in whatever order the database gives them. */
function isSame(relations: readonly string[], before: RowData | undefined, after: RowData | undefined): boolean {
  if (!before || !after) return before === after;
  const columns = Object.keys({ ...before, ...after }).filter((name) => !relations.includes(name));
  return columns.every((name) => Utils.equals(before[name], after[name])) && haveSameMembers(relations, before, after);
}
