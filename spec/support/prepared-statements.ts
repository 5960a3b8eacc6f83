import 'reflect-metadata';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { Consumer, Create, createApp, List, Logger, ModelConsumer, mix, path, Retrieve } from 'signalbox';
import { connect, MemoryLogger } from 'signalbox/testing';
import { container } from 'tsyringe';
import { entities, Room } from './entities.js';
import { serveCommands } from './programs.js';
import { RoomSerializer } from './rooms.js';

// A process of its own, because the number of names that one process gives to statements is limited.

@Consumer()
class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, Create) {}

const { clientUrl, preparedStatements } = JSON.parse(process.argv[2] ?? '') as PreparedStatementsOptions;

export interface PreparedStatementsOptions {
  readonly clientUrl: string;
  readonly preparedStatements: boolean;
}

/** The names of the statements that are prepared on the only connection, once rows were listed, retrieved and created twice. */
async function namesOfStatements(): Promise<readonly string[]> {
  const orm = await MikroORM.init({
    clientUrl,
    entities,
    metadataProvider: ReflectMetadataProvider,
    pool: { min: 1, max: 1 },
  });
  const logger = new MemoryLogger();
  container.registerInstance(Logger, logger);
  const app = createApp({
    orm,
    container,
    routes: [path('/', RoomConsumer)],
    settings: { changeLog: { preparedStatements } },
  });
  await app.start();
  const client = await connect(app, '/');
  for (const name of ['one', 'two']) {
    const replies = [
      await client.request('create', { data: { name } }),
      await client.request('list'),
      await client.request('retrieve', { pk: 1 }),
    ];
    for (const { errors } of replies) expect(errors).to.deep.equal([]);
  }
  const found: readonly { name: string }[] = await orm.em
    .fork()
    .execute(`select name from pg_prepared_statements where statement like '%"room"%' order by name`);
  await app.close();
  await orm.close(true);
  return found.map(({ name }) => name.split('_').slice(0, 2).join('_'));
}

const commands = { namesOfStatements };

export type PreparedStatementsCommands = typeof commands;

serveCommands(commands, {});
