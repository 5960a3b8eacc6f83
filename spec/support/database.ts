import type { EntityClass } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM, type Options } from '@mikro-orm/postgresql';
import { entities } from './entities.js';
import { createDatabase, sharedPostgres } from './postgres.js';

type EntityClasses = EntityClass<object>[];

/** A database of its own for a spec file, emptied before each spec. */
export function useDatabase(name: string, classes: EntityClasses = entities): { readonly orm: MikroORM } {
  let opened: MikroORM | undefined;
  // The server starts while mocha loads the other files.
  void sharedPostgres();
  before(async function () {
    this.timeout(30_000);
    opened = await openDatabase(name, classes);
  });
  beforeEach(() => opened && emptyDatabase(opened));
  after(() => opened?.close(true));
  return {
    get orm(): MikroORM {
      if (!opened) throw new Error('The database is open within specs only.');
      return opened;
    },
  };
}

/** The same database as another process has it: with an ORM of its own, closed after the specs of the file. */
export function useSecondOrm(database: { readonly orm: MikroORM }): { readonly orm: MikroORM } {
  let opened: MikroORM | undefined;
  before(async () => {
    const { config } = database.orm;
    opened = await MikroORM.init({
      clientUrl: config.get('clientUrl') ?? '',
      entities: config.get('entities'),
      metadataProvider: ReflectMetadataProvider,
    });
  });
  after(() => opened?.close(true));
  return {
    get orm(): MikroORM {
      if (!opened) throw new Error('The database is open within specs only.');
      return opened;
    },
  };
}

/** Waits for transactions that are still open, as TRUNCATE does, and fires no trigger. */
const emptying = `do $$
declare
  row record;
begin
  set local session_replication_role = replica;
  for row in select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname !~ '^(pg_|information_|signalbox)' loop
    execute 'lock table ' || row.name || ' in access exclusive mode';
    execute 'delete from ' || row.name;
  end loop;
  for row in select format('%I.%I', schemaname, sequencename) as name, start_value from pg_sequences where schemaname <> 'signalbox' loop
    perform setval(row.name::regclass, row.start_value, false);
  end loop;
end $$`;

/**
 * Deletes all rows and restarts the keys, like `truncate` of the testing kit. That takes 20 ms or more before each of over a
 * thousand specs, because TRUNCATE makes new files for every table; to delete a few rows takes one.
 */
export async function emptyDatabase(orm: MikroORM): Promise<void> {
  await orm.em.execute(emptying);
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

/** The address of a database that is open. */
export function addressOf({ orm }: { readonly orm: MikroORM }): string {
  return orm.config.get('clientUrl') ?? '';
}

/** An ORM on a database that is there, with options of its own, which the caller closes. */
export async function connectOrm(clientUrl: string, options: Options = {}): Promise<MikroORM> {
  return MikroORM.init({
    clientUrl,
    entities,
    metadataProvider: ReflectMetadataProvider,
    discovery: { warnWhenNoEntities: false },
    ...options,
  });
}
