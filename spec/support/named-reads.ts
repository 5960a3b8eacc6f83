import 'reflect-metadata';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { Consumer, createApp, List, ModelConsumer, ModelSerializer, mix, path, Retrieve, type Route } from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { Shelf, specimens } from './specimens.js';

/**
 * A program of its own, for a process has a bounded number of names for statements. Reads rows twice by each action, and prints how many
 * times each statement ran that the session has prepared.
 */
@injectable()
class ShelfSerializer extends ModelSerializer(Shelf, { fields: ['id', 'name'] }) {}

@Consumer()
class Shelves extends mix(ModelConsumer(Shelf, { serializer: ShelfSerializer }), List, Retrieve) {}

process.env['NODE_ENV'] = 'test';
const orm = await MikroORM.init({
  clientUrl: String(process.argv[2]),
  entities: specimens,
  metadataProvider: ReflectMetadataProvider,
  pool: { min: 1, max: 1 },
});
const routes: Route[] = [path('/', Shelves)];
const app = createApp<readonly Route[]>({ orm, routes });
const client = await connect(app, '/');
for (const kwargs of [{ pk: 1 }, { pk: 2 }]) await client.untyped.request('retrieve', kwargs);
for (let round = 0; round < 2; round += 1) await client.untyped.request('list', {});
const prepared: readonly object[] = await orm.em.fork().execute(
  `select regexp_replace(name, '_[0-9a-f]{16}_[0-9]+$', '') as name, (generic_plans + custom_plans)::int as runs
      from pg_prepared_statements where statement like '%shelf%' order by prepare_time`,
);
process.stdout.write(JSON.stringify(prepared));
await app.close();
await orm.close(true);
process.exit(0);
