import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager, EntityMetadata, Transaction } from '@mikro-orm/core';
import { LockMode, Utils } from '@mikro-orm/core';
import { asStored } from './model-queries.js';
import { writeConnection } from './statements.js';

type Upsert = (this: EntityManager, entity: unknown, data?: unknown, options?: object) => Promise<unknown>;

/** The transaction of the running upsert. MikroORM's events do not name a transaction that was passed as an option. */
const underWay = new AsyncLocalStorage<object>();

const wrapped = new WeakSet<object>();

/** The transaction in which the manager's upsert runs. */
export function transactionOf(em: EntityManager): object | undefined {
  return underWay.getStore() ?? em.getTransactionContext();
}

/** Whether an upsert of a class outside of any transaction gets one. */
export type WantsTransaction = (em: EntityManager, meta: EntityMetadata) => boolean;

/**
 * Makes upserts outside of any transaction begin one where `wantsTransaction` says so, so that the row and its log entry are one commit. It
 * wraps the prototype once, for all managers of a kind: MikroORM has no event in which a transaction could begin, and none for a failed
 * upsert.
 */
export function wrapUpserts(manager: EntityManager, wantsTransaction: WantsTransaction): void {
  const prototype = Object.getPrototypeOf(manager) as object;
  if (wrapped.has(prototype)) return;
  wrapped.add(prototype);
  for (const name of ['upsert', 'upsertMany']) {
    const upsert = Reflect.get(prototype, name) as Upsert;
    const value: Upsert = function (entity, data, options) {
      const em = this.getContext(false);
      const isWithin = transactionOf(em) !== undefined || (options !== undefined && 'ctx' in options);
      const meta = isWithin ? undefined : metaOf(em, entity);
      if (!meta || !wantsTransaction(em, meta)) return upsert.call(this, entity, data, options);
      const write = (ctx: object) => underWay.run(ctx, () => upsert.call(this, entity, data, { ...options, ctx }));
      return writeConnection(em).transactional(write, { sessionContext: em.getTransactionSessionContext() });
    };
    Object.defineProperty(prototype, name, { configurable: true, writable: true, value });
  }
}

/** @param given an entity, several entities, or a name of a class */
function metaOf(em: EntityManager, given: unknown): EntityMetadata | undefined {
  const one: unknown = Array.isArray(given) ? given[0] : given;
  const named: unknown = Utils.isEntity<object>(one) ? one.constructor : one;
  return named === undefined ? undefined : em.getMetadata().find(named as EntityMetadata['class']);
}

const upsertEvents = ['beforeUpsert', 'afterUpsert'] as const;

/** Whether the application's code runs during an upsert. It may ask for another connection, and the pool may have none left. */
export function hasUpsertHooks(em: EntityManager, { hooks }: EntityMetadata, own: object): boolean {
  const subscribers = [...em.getEventManager().getSubscribers()];
  return upsertEvents.some(
    (event) => (hooks[event]?.length ?? 0) > 0 || subscribers.some((each) => each !== own && each[event] !== undefined),
  );
}

/**
 * The rows that an upsert may collide with: those with its key, or with the values of one of its unique properties. The query waits for a
 * transaction that is writing them, as the upsert itself would, because rows that were read before would be stale.
 */
export async function conflictingRows(
  em: EntityManager,
  meta: EntityMetadata,
  data: object,
  transaction: object | undefined,
): Promise<readonly object[]> {
  const conditions = uniqueSets(meta).flatMap((names) => {
    const values = names.map((name) => [name, Reflect.get(data, name) as unknown] as const);
    return values.some(([, value]) => value === undefined || value === null) ? [] : [Object.fromEntries(values)];
  });
  if (conditions.length === 0) return [];
  const fork = em.fork({ clear: true, keepTransactionContext: true, freshEventManager: true });
  if (transaction) fork.setTransactionContext(transaction as Transaction);
  const find = (locking: EntityManager): Promise<object[]> => lockedRows(locking, meta, { $or: conditions });
  return fork.isInTransaction() ? find(fork) : fork.transactional(find);
}

async function lockedRows(em: EntityManager, meta: EntityMetadata, where: object): Promise<object[]> {
  // A join of an eager relation could not be locked.
  const lock = em.isInTransaction() && { lockMode: LockMode.PESSIMISTIC_WRITE, strategy: 'select-in' };
  const find = (): Promise<object[]> => em.find(meta.class, where, { ...asStored, filters: false, ...lock } as object);
  const rows = await find();
  // If the transaction waited for the lock of a row that was then deleted, a second statement finds the new row with its key.
  return rows.length > 0 ? rows : find();
}

function uniqueSets(meta: EntityMetadata): readonly (readonly string[])[] {
  const properties = meta.props.filter(({ unique }) => unique).map(({ name }) => [name]);
  const declared = meta.uniques.map(({ properties: names }) => [names ?? []].flat() as string[]);
  return [[...meta.primaryKeys], ...properties, ...declared.filter((names) => names.length > 0)];
}
