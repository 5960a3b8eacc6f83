import { MikroORM } from '@mikro-orm/postgresql';

/** An ORM that never connects, for specs whose actions touch no database. */
export async function offlineOrm(): Promise<MikroORM> {
  return MikroORM.init({
    clientUrl: 'postgresql://nobody@127.0.0.1:1/none',
    entities: [],
    discovery: { warnWhenNoEntities: false },
  });
}
