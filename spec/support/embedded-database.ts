import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/pglite';

/** A database of its own in the process of the spec, for one file. It has one connection. */
export function embeddedDatabase(entities: EntityClass<object>[]): { readonly orm: MikroORM } {
  let opened: MikroORM | undefined;
  before(async function () {
    this.timeout(60_000);
    opened = await MikroORM.init({ dbName: 'memory://', entities, metadataProvider: ReflectMetadataProvider });
    await opened.schema.create();
  });
  after(() => opened?.close(true));
  return {
    get orm(): MikroORM {
      if (!opened) throw new Error('The database is open within specs only.');
      return opened;
    },
  };
}
