import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { truncate } from 'signalbox/testing';
import { entities } from './entities.js';
import { createDatabase } from './postgres.js';

type EntityClasses = EntityClass<object>[];

/** A database of its own for a spec file, emptied before each spec. */
export function useDatabase(name: string, classes: EntityClasses = entities): { readonly orm: MikroORM } {
  let opened: MikroORM | undefined;
  before(async function () {
    this.timeout(30_000);
    opened = await openDatabase(name, classes);
  });
  beforeEach(() => opened && truncate(opened));
  after(() => opened?.close(true));
  return {
    get orm(): MikroORM {
      if (!opened) throw new Error('The database is open within specs only.');
      return opened;
    },
  };
}

export async function openDatabase(name: string, classes: EntityClasses = entities): Promise<MikroORM> {
  const orm: MikroORM = await MikroORM.init({
    clientUrl: await createDatabase(name),
    entities: classes,
    metadataProvider: ReflectMetadataProvider,
  });
  await orm.schema.create();
  return orm;
}
