import type { EntityManager } from '@mikro-orm/postgresql';
import { until } from './deadline.js';

/** Resolves once so many statements wait for a lock in this database; in others of the server, statements of others may. */
export async function lockWaits(em: EntityManager, number = 1): Promise<void> {
  // A transaction would see what it saw first.
  const outside = em.fork();
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await until(async () => (await outside.execute(waiting)).length >= number, 'Statements that wait for a lock');
}

/**
 * Writes in a transaction, begins something else, and commits once that waits for what was written.
 *
 * @param waits how many statements have to wait
 * @returns what came of the other one
 */
export async function whileItWaits<T>(
  em: EntityManager,
  write: (em: EntityManager) => Promise<unknown>,
  begin: () => Promise<T>,
  waits = 1,
): Promise<T> {
  const written = Promise.withResolvers<void>();
  const committed = em.fork().transactional(async (inner) => {
    await write(inner);
    written.resolve();
    await lockWaits(em, waits);
  });
  await Promise.race([written.promise, committed]);
  const [other] = await Promise.all([begin(), committed]);
  return other;
}
