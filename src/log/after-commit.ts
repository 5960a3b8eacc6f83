import { type EntityManager, RequestContext, TransactionContext } from '@mikro-orm/core';
import { runDetached } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import { ChangeLog } from './change-log.js';

/**
 * Runs work once the outermost transaction around the caller has committed: never after a rollback, and of a savepoint only where it is
 * released. Outside of any transaction it runs at once. What it throws, or rejects with, is logged and reaches no caller; it runs
 * outside of the transaction and of the request.
 *
 * ```ts
 * order.isPaid = true;
 * afterCommit(() => mailer.send(order.id));
 * ```
 *
 * @throws ConfigurationError in a transaction of a database that no application uses, or one that MikroORM did not begin
 */
export function afterCommit(work: () => unknown): void {
  const em = managerInTransaction();
  const log = em && ChangeLog.find(em);
  if (em && !log)
    throw new ConfigurationError({
      class: 'afterCommit',
      reason: 'is called in a transaction of a database that no application was created for.',
      remedy: 'Call createApp({ orm, … }) before the transaction begins.',
    });
  if (em && log) log.afterCommit(em, work);
  else runDetached(() => void runUnwatched(work));
}

function managerInTransaction(): EntityManager | undefined {
  const inContext = TransactionContext.currentTransactionContext()?.em;
  if (inContext) return inContext;
  const managers = RequestContext.currentRequestContext()?.map?.values() ?? [];
  return [...managers].find((em) => em.isInTransaction());
}

async function runUnwatched(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
