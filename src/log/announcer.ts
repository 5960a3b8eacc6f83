import { type EntityManager, type EntityMetadata, type Primary, RequestContext } from '@mikro-orm/core';
import type { ConcreteClass } from '../metadata.js';
import { announced } from '../orm/announced.js';
import { keyOf } from '../orm/change-capture.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { ChangeLog } from './change-log.js';

/**
 * Announces writes that the ORM does not report: `nativeUpdate`, `nativeDelete`, `insertMany`, the query builder, raw SQL, deletes that the
 * database cascades. Injected. It runs in the caller's transaction; in actions and hooks without one, it begins its own, so that the write
 * and its events are one commit. Elsewhere, as in scripts, call it in a transaction if other code may write these rows.
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

  /** The application makes it. */
  constructor(unitOfWork: UnitOfWork) {
    this.#unitOfWork = unitOfWork;
  }

  /**
   * Locks these rows, runs a write and announces what it did to them: created, updated (to the groups before and after the write) or
   * deleted. It does not announce rows that the write left unchanged.
   */
  announcing<Entity extends object, Result>(
    model: ConcreteClass<Entity>,
    keys: readonly Primary<Entity>[],
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.#inTransaction(model, async (em, log) => {
      const meta = em.getMetadata(model) as EntityMetadata;
      await log?.capture.noteRows(em, meta, storedKeys(em, meta, keys));
      return announced.run(true, work);
    });
  }

  /**
   * Announces rows that are already written. An update sends the row as it is, to the groups that it has now. Announce a delete before you
   * run it, because the groups of the row are known only then. `'delete'` before and `'create'` after are one update within one
   * transaction.
   */
  announce<Entity extends object>(
    model: ConcreteClass<Entity>,
    keys: readonly Primary<Entity>[],
    action: 'create' | 'update' | 'delete',
  ): Promise<void> {
    return this.#inTransaction(model, async (em, log) => {
      const meta = em.getMetadata(model) as EntityMetadata;
      await log?.capture.announce(em, meta, storedKeys(em, meta, keys), action);
    });
  }

  /**
   * Outside of actions and hooks there is no transaction: the work may write through a manager of its own, which would wait for the locks
   * of the rows.
   */
  async #inTransaction<Result>(
    model: ConcreteClass,
    work: (em: EntityManager, log: ChangeLog | undefined) => Promise<Result>,
  ): Promise<Result> {
    const em = this.#unitOfWork.of(model).em.getContext(false);
    const log = ChangeLog.find(em);
    if (em.isInTransaction()) return work(em, log);
    if (RequestContext.currentRequestContext()) return em.transactional((inner) => work(inner, log));
    const result = await work(em, log);
    await log?.capture.writeLoose(em);
    return result;
  }
}

function storedKeys(
  em: EntityManager,
  meta: EntityMetadata,
  keys: readonly unknown[],
): readonly (readonly unknown[])[] {
  const fork = em.fork({ clear: true });
  return keys.map((key) => keyOf(fork.getReference(meta.class, key as never)));
}
