import type { MikroORM } from '@mikro-orm/postgresql';

/** The statements that the ORM sends while work is done. */
export async function queriesOf(orm: MikroORM, work: () => Promise<unknown>): Promise<readonly string[]> {
  const queries: string[] = [];
  const logger = orm.config.getLogger();
  const { logQuery } = logger;
  // Not by the debug mode: whoever asks the ORM for its logger, a fork for one, sets that back.
  logger.logQuery = ({ query = '' }) => void queries.push(query);
  try {
    await work();
  } finally {
    logger.logQuery = logQuery;
  }
  return queries;
}
