import type { MikroORM } from '@mikro-orm/postgresql';

/** The statements that the ORM sends while work is done. */
export async function queriesOf(orm: MikroORM, work: () => Promise<unknown>): Promise<readonly string[]> {
  const queries: string[] = [];
  const logger = orm.config.getLogger();
  const { log } = logger;
  logger.log = (namespace, message) => void (namespace === 'query' && queries.push(message));
  logger.setDebugMode(['query']);
  try {
    await work();
  } finally {
    logger.setDebugMode(false);
    logger.log = log;
  }
  return queries;
}
