import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';

/** An ORM that never connects, for specs whose actions touch no database. */
export async function offlineOrm(entities: EntityClass<object>[] = []): Promise<MikroORM> {
  return MikroORM.init({
    clientUrl: 'postgresql://nobody@127.0.0.1:1/none',
    entities,
    metadataProvider: ReflectMetadataProvider,
    discovery: { warnWhenNoEntities: false },
  });
}

/** The same for the specs of a file, closed after them. */
export function useOfflineOrm(entities: EntityClass<object>[] = []): { readonly orm: MikroORM } {
  let opened: MikroORM;
  before(async () => {
    opened = await offlineOrm(entities);
  });
  after(() => opened.close(true));
  return {
    get orm(): MikroORM {
      return opened;
    },
  };
}
