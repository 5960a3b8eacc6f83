import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager, EntityMetadata, Transaction } from '@mikro-orm/core';
import { LockMode, Utils } from '@mikro-orm/core';
import { asStored } from './model-queries.js';
import { writeConnection } from './statements.js';

type Upsert = (this: EntityManager, entity: unknown, data?: unknown, options?: object) => Promise<unknown>;

/** The transaction of the upsert under way. MikroORM's events do not name one that came as an option. */
const underWay = new AsyncLocalStorage<object>();

const wrapped = new WeakSet<object>();

/** The transaction that an upsert of the manager is in. */
export function transactionOf(em: EntityManager): object | undefined {
  return underWay.getStore() ?? em.getTransactionContext();
}

/** Whether upserts of a class, outside of any transaction, get one. */
export type WantsTransaction = (em: EntityManager, meta: EntityMetadata) => boolean;

/**
 * Lets upserts outside of any transaction begin one where they want it, so that the row and its entry are one commit. Done once for all
 * managers of a kind: they have no event in which one could be begun, and none for an upsert that fails.
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

/** @param given an entity, several, or what a class is named by */
function metaOf(em: EntityManager, given: unknown): EntityMetadata | undefined {
  const one: unknown = Array.isArray(given) ? given[0] : given;
  const named: unknown = Utils.isEntity<object>(one) ? one.constructor : one;
  return named === undefined ? undefined : em.getMetadata().find(named as EntityMetadata['class']);
}

const upsertEvents = ['beforeUpsert', 'afterUpsert'] as const;

/** Whether code of the application runs during an upsert. It may ask for another connection, and there may be no other. */
export function hasUpsertHooks(em: EntityManager, { hooks }: EntityMetadata, own: object): boolean {
  const subscribers = [...em.getEventManager().getSubscribers()];
  return upsertEvents.some(
    (event) => (hooks[event]?.length ?? 0) > 0 || subscribers.some((each) => each !== own && each[event] !== undefined),
  );
}

/**
 * The rows that an upsert may find in its way: those with its key, or with the values of one of its unique properties.
 * This waits for a transaction that is writing them, as the upsert itself would do, because what was read before that would be stale.
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
  // A transaction that waited for the lock on a row, which was then deleted, finds the row with its key now by a second statement.
  return rows.length > 0 ? rows : find();
}

function uniqueSets(meta: EntityMetadata): readonly (readonly string[])[] {
  const properties = meta.props.filter(({ unique }) => unique).map(({ name }) => [name]);
  const declared = meta.uniques.map(({ properties: names }) => [names ?? []].flat() as string[]);
  return [[...meta.primaryKeys], ...properties, ...declared.filter((names) => names.length > 0)];
}
