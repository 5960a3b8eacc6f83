import { EntityFactory } from '@mikro-orm/core';
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

/** How many entities the ORM makes while work is done. Their constructors do not tell: those of rows that are loaded are not called. */
export async function entitiesOf(work: () => Promise<unknown>): Promise<number> {
  const made = new Set<object>();
  const { create } = EntityFactory.prototype;
  EntityFactory.prototype.create = function (this: EntityFactory, ...parameters: Parameters<typeof create>) {
    const entity = create.apply(this, parameters);
    made.add(entity);
    return entity;
  } as typeof create;
  try {
    await work();
  } finally {
    EntityFactory.prototype.create = create;
  }
  return made.size;
}
