import { type EntityManager, RequestContext, TransactionContext } from '@mikro-orm/core';
import { runDetached } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import { ChangeLog } from './change-log.js';

/**
 * Runs work after the outermost transaction around the caller has committed: never after a rollback, and for a savepoint only if it is
 * released too. Outside of any transaction it runs at once. The work runs outside of the transaction and of the request; its errors and
 * rejections are logged and do not reach the caller.
 *
 * ```ts
 * order.isPaid = true;
 * afterCommit(() => mailer.send(order.id));
 * ```
 *
 * @param em the manager whose transaction is meant; needed only if nothing else connects the transaction with the caller, as with a fork's
 * `em.begin()`
 * @throws ConfigurationError in a transaction whose end the framework does not see: one that MikroORM did not begin, or of a database that
 * no application uses (any more)
 */
export function afterCommit(work: () => unknown, em = managerInTransaction()): void {
  if (!em?.isInTransaction()) {
    runDetached(() => void runNow(work, em));
    return;
  }
  if (!ChangeLog.find(em)?.afterCommit(em, work)) throw unheard();
}

function managerInTransaction(): EntityManager | undefined {
  const inContext = TransactionContext.currentTransactionContext()?.em;
  if (inContext) return inContext;
  const managers = RequestContext.currentRequestContext()?.map?.values() ?? [];
  return [...managers].find((em) => em.isInTransaction());
}

/** Runs the work. The application's logger takes its error; without an application, the process emits a warning. */
async function runNow(work: () => unknown, em: EntityManager | undefined): Promise<void> {
  const log = (em && ChangeLog.find(em)) ?? ChangeLog.inUse;
  if (log?.logger) return log.runWork(work);
  try {
    await work();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}

function unheard(): ConfigurationError {
  return new ConfigurationError({
    class: 'afterCommit',
    reason:
      'is called in a transaction whose end Signalbox does not see: no application uses its database now, or MikroORM did not begin it with BEGIN.',
    remedy:
      'Call it between createApp({ orm, … }) and app.close(), in a transaction of em.transactional or em.begin of an ORM without ' +
      '`disableTransactions` and `implicitTransactions: false`.',
  });
}
