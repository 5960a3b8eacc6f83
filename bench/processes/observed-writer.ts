import 'reflect-metadata';
import { EntityManager } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property, ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import {
  Consumer,
  createApp,
  GroupsForConsumer,
  GroupsForSignal,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  Patch,
  path,
  type Route,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { serveCommands } from '../../spec/support/programs.js';

export type WayOfWriting = 'through MikroORM' | 'patch of the mixins';

const rows = 100;
const many = 1e9;

@Entity()
class Shelf {
  @PrimaryKey({ type: 'integer' })
  id!: number;

  @Property({ type: 'string' })
  name!: string;

  @Property({ type: 'integer' })
  hall!: number;
}

@injectable()
class ShelfSerializer extends ModelSerializer(Shelf, { fields: ['id', 'name', 'hall'] }) {}

@Consumer()
class PlainConsumer extends mix(ModelConsumer(Shelf, { serializer: ShelfSerializer }), Patch) {
  constructor(readonly em: EntityManager) {
    super();
  }
}

/** One more observer of the model, whose groups are made of a column. */
function observing(): Route {
  @Consumer()
  class ObservingConsumer extends ModelConsumer(Shelf, { serializer: ShelfSerializer }) {
    @ModelObserver(() => Shelf, { serializer: ShelfSerializer })
    async onShelf(event: ModelEvent<ShelfSerializer>, subscription: Subscription<{ hall: number }>) {
      await subscription.send(event);
    }
    @GroupsForSignal('onShelf')
    protected *groupsOfShelf({ hall }: Shelf) {
      yield `hall-${hall}`;
    }
    @GroupsForConsumer('onShelf')
    protected *groupsOfHall({ hall }: { hall: number }) {
      yield `hall-${hall}`;
    }
  }
  observers += 1;
  return path(`/observers/${observers}/`, ObservingConsumer);
}

let observers = 0;
const { url, observed }: { readonly url: string; readonly observed: number } = JSON.parse(process.argv[2] ?? '{}');
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [Shelf],
  metadataProvider: ReflectMetadataProvider,
  // The time of a process of PostgreSQL that has ended is not counted any more.
  pool: { max: 4, idleTimeoutMillis: 0 },
});
await orm.schema.create();
const filling = orm.em.fork();
for (let id = 1; id <= rows; id += 1) filling.create(Shelf, { id, name: 'shelf', hall: 1 });
await filling.flush();
const routes = [path('/shelves/', PlainConsumer), ...Array.from({ length: observed }, observing)];
const limits = { messagesPerSecond: many, messageBurst: many, bytesPerSecond: many };
const app = createApp({ orm, routes, settings: { development: false, log: { actions: false }, limits } });
await app.start();
const client = await connect(app, '/shelves/');

let written = 0;

async function write(way: WayOfWriting): Promise<void> {
  written += 1;
  const [pk, name] = [1 + (written % rows), `shelf ${written}`];
  if (way === 'through MikroORM') {
    const em = orm.em.fork();
    const shelf = await em.findOneOrFail(Shelf, pk);
    shelf.name = name;
    await em.flush();
    return;
  }
  const { errors } = await client.request('patch', { pk, data: { name } });
  if (errors.length > 0) throw new Error(String(errors));
}

const commands = {
  /** One write after the other. @returns microseconds of this process for each */
  async write(way: WayOfWriting, count: number): Promise<number> {
    const before = process.cpuUsage();
    for (let each = 0; each < count; each += 1) await write(way);
    await app.idle();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / count;
  },
};

export type ObservedWriterCommands = typeof commands;

serveCommands(commands, {});
