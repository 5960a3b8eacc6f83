import { Collection, UniqueConstraintViolationException } from '@mikro-orm/core';
import { Entity, ManyToMany, ManyToOne, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { IsInt } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type AppApi,
  Consumer,
  createApp,
  GroupsForConsumer,
  GroupsForSignal,
  Logger,
  ModelConsumer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  mix,
  ObserveInstance,
  Patch,
  path,
  Retrieve,
  type Subscription,
} from 'signalbox';
import { createClient, live } from 'signalbox/client';
import { connect, MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable, container as rootContainer } from 'tsyringe';
import { WebSocket } from 'ws';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { until } from '../support/deadline.js';
import { whileItWaits } from '../support/locks.js';
import { population } from '../support/population.js';

@Entity()
class Reader {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @ManyToMany(() => Doc, 'readers') docs = new Collection<Doc>(this);
}

@Entity()
class Doc {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
  @Property({ type: 'integer' }) n!: number;
  @ManyToMany(() => Reader, 'docs', { owner: true, pivotEntity: () => Reading }) readers = new Collection<Reader>(this);
}

@Entity()
class Reading {
  @ManyToOne(() => Doc, { primary: true }) doc!: Doc;
  @ManyToOne(() => Reader, { primary: true }) reader!: Reader;
}

@Entity({ tableName: 'coded' })
class Coded {
  @PrimaryKey({ type: 'string' }) id!: string;
  @Property({ type: 'string' }) name!: string;
}

/** Has the same columns as another class. */
@Entity()
class Twin {
  @PrimaryKey({ type: 'string' }) id!: string;
  @Property({ type: 'string' }) name!: string;
}

@Entity({ schema: '*' })
class Tenanted {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ type: 'string' }) name!: string;
}

@Entity()
class Stored {
  @PrimaryKey({ type: 'integer' }) id!: number;
  @Property({ columnType: 'int[]' }) numbers!: number[];
  @Property({ type: 'json' }) extra!: unknown;
  @Property({ columnType: 'time' }) noon!: string;
  @Property({ columnType: 'real' }) weight!: number;
  @Property({ columnType: 'varchar(20)', default: 'made' }) made?: string;
  @Property({ type: 'string', nullable: true }) shouted?: string | null;
}

@injectable()
class DocSerializer extends ModelSerializer(Doc, { fields: ['id', 'name', 'n'] }) {}
@injectable()
class ReadersSerializer extends ModelSerializer(Doc, { fields: ['id', 'n', 'readers'] }) {}
@injectable()
class ReaderSerializer extends ModelSerializer(Reader, { fields: ['id', 'docs'] }) {}
@injectable()
class CodedSerializer extends ModelSerializer(Coded, { fields: ['id', 'name'] }) {}
@injectable()
class TwinSerializer extends ModelSerializer(Twin, { fields: ['id', 'name'] }) {}
@injectable()
class StoredSerializer extends ModelSerializer(Stored, {
  fields: ['id', 'numbers', 'extra', 'noon', 'weight', 'made', 'shouted'],
}) {}

class ReaderKey {
  @IsInt() reader!: number;
}

@Consumer()
class DocConsumer extends mix(ModelConsumer(Doc, { serializer: DocSerializer }), Retrieve, Patch, ObserveInstance) {
  @Action()
  async all() {
    return (await this.unitOfWork.em.find(Doc, {}, { orderBy: { id: 'asc' } })).map(({ id, name, n }) => ({
      id,
      name,
      n,
    }));
  }

  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onDoc, {}, context);
  }
  @ModelObserver(() => Doc, { serializer: DocSerializer })
  async onDoc(event: ModelEvent<DocSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }

  @Action({ status: 201 })
  async read({ reader }: ReaderKey, context: ActionContext) {
    await this.subscribe(this.onRead, { reader }, context);
  }
  @ModelObserver(() => Doc, { serializer: ReadersSerializer })
  async onRead(event: ModelEvent<ReadersSerializer>, subscription: Subscription<ReaderKey>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onRead') protected *groupsOfDoc({ readers }: Doc) {
    for (const { id } of readers) yield `reader-${id}`;
  }
  @GroupsForConsumer('onRead') protected *groupsOfReader({ reader }: ReaderKey) {
    yield `reader-${reader}`;
  }
}

/** Shows rows with their links. */
@Consumer()
class LinksConsumer extends mix(ModelConsumer(Doc, { serializer: ReadersSerializer }), Retrieve, ObserveInstance) {
  @Action()
  async all() {
    const found = await this.unitOfWork.em.find(Doc, {}, { populate: ['readers'], orderBy: { id: 'asc' } });
    return found.map(({ id, n, readers }) => ({ id, n, readers: readers.getIdentifiers<number>('id').toSorted() }));
  }

  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onLinks, {}, context);
  }
  @ModelObserver(() => Doc, { serializer: ReadersSerializer })
  async onLinks(event: ModelEvent<ReadersSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

@Consumer()
class OthersConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(context: ActionContext) {
    await this.subscribe(this.onReader, {}, context);
    await this.subscribe(this.onCoded, {}, context);
    await this.subscribe(this.onTwin, {}, context);
    await this.subscribe(this.onTenanted, {}, context);
    await this.subscribe(this.onStored, {}, context);
  }
  @ModelObserver(() => Reader, { serializer: ReaderSerializer })
  async onReader(event: ModelEvent<ReaderSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
  @ModelObserver(() => Coded, { serializer: CodedSerializer })
  async onCoded(event: ModelEvent<CodedSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
  @ModelObserver(() => Twin, { serializer: TwinSerializer })
  async onTwin(event: ModelEvent<TwinSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
  @ModelObserver(() => Tenanted, { body: ({ id, name }: Tenanted) => ({ id, name }) })
  async onTenanted(event: ModelEvent<Tenanted, { id: number; name: string }>, subscription: Subscription) {
    await subscription.send(event);
  }
  @ModelObserver(() => Stored, { serializer: StoredSerializer })
  async onStored(event: ModelEvent<StoredSerializer>, subscription: Subscription) {
    await subscription.send(event);
  }
}

const classes = [Reader, Doc, Reading, Coded, Twin, Tenanted, Stored];

const docs = path('/docs/', DocConsumer);
const links = path('/links/', LinksConsumer);

/** For the types of their clients. */
function serveDocs(orm: MikroORM) {
  return createApp({ orm, routes: [docs] });
}
function serveLinks(orm: MikroORM) {
  return createApp({ orm, routes: [links] });
}

/** Those that came since, without replies. */
function events({ frames }: TestConnection): TestConnection['frames'] {
  return frames.splice(0).filter(({ action }) => action === 'create' || action === 'update' || action === 'delete');
}

function serve(orm: MikroORM) {
  // By the real clock: clients that write for so long are throttled by one that stands still.
  const container = rootContainer.createChildContainer();
  container.registerInstance(Logger, new MemoryLogger());
  const many = 1_000_000;
  return createApp({
    orm,
    container,
    routes: [docs, links, path('/others/', OthersConsumer)],
    settings: { limits: { messageBurst: many } },
  });
}

type DocApi = AppApi<ReturnType<typeof serveDocs>>;
type LinksApi = AppApi<ReturnType<typeof serveLinks>>;

describe('An event shows what the database has', () => {
  const database = useDatabase('true_images', classes);
  let app: ReturnType<typeof serve>;
  let ann: TestConnection;

  before(async () => {
    const { em } = database.orm;
    await em.execute('create schema one; create schema two');
    for (const schema of ['one', 'two'])
      await em.execute(`create table ${schema}.tenanted (id int primary key, name text)`);
    await em.execute(
      `create function shout() returns trigger language plpgsql as $$ begin new.shouted = upper(new.made); return new; end $$`,
    );
    await em.execute('create trigger shouts before insert or update on stored for each row execute function shout()');
  });
  beforeEach(async () => {
    const { em } = database.orm;
    await em.execute(`insert into doc (id, name, n) values (1, 'old', 0), (2, 'other', 0)`);
    await em.execute('insert into reader (id) values (1), (2), (3), (4)');
    await em.execute('insert into reading (doc_id, reader_id) values (1, 3)');
    app = serve(database.orm);
    ann = await connect(app, '/docs/');
  });
  afterEach(() => app.close());

  const fork = (): EntityManager => database.orm.em.fork();

  async function frames(of: TestConnection): Promise<readonly unknown[]> {
    await app.idle();
    return events(of).map(({ action, data }) => [action, data]);
  }

  async function others(): Promise<TestConnection> {
    const connection = await connect(app, '/others/');
    await connection.request('watch', { request_id: 1 });
    return connection;
  }

  for (const { action, kwargs } of [
    { action: 'subscribe_instance', kwargs: { pk: 1 } },
    { action: 'watch', kwargs: {} },
  ]) {
    it(`with the columns of all who wrote the row, to ${action}`, async () => {
      await ann.request(action, { ...kwargs, request_id: 1 });
      const [a, b] = [fork(), fork()];
      const stale = await a.findOneOrFail(Doc, 1);
      (await b.findOneOrFail(Doc, 1)).name = 'new';
      await b.flush();
      stale.n = 1;
      await a.flush();
      expect(await frames(ann)).to.deep.equal([
        ['update', { id: 1, name: 'new', n: 0 }],
        ['update', { id: 1, name: 'new', n: 1 }],
      ]);
    });
  }

  it('in the order in which transactions wrote the row, where the one that began first wrote last', async () => {
    const elsewhere = await connectOrm(addressOf(database), { entities: classes });
    // Of this process' commits, the reader would hear one by one.
    const other = serve(elsewhere);
    await other.start();
    await ann.request('watch', { request_id: 1 });
    const [early, late] = [elsewhere.em.fork(), elsewhere.em.fork()];
    await early.begin();
    (await late.findOneOrFail(Doc, 1)).n = 1;
    await late.flush();
    (await early.findOneOrFail(Doc, 1)).name = 'new';
    await early.commit();
    expect(await frames(ann)).to.deep.equal([
      ['update', { id: 1, name: 'old', n: 1 }],
      ['update', { id: 1, name: 'new', n: 1 }],
    ]);
    await other.close();
    await elsewhere.close();
  });

  it('at the end of each round in which two clients patch different columns at once', async function () {
    this.timeout(120_000);
    const { port } = await app.listen({ port: 0, host: '127.0.0.1' });
    const open = () => createClient<DocApi>(`ws://127.0.0.1:${port}/docs/`, { WebSocket });
    const clients = [open(), open()] as const;
    const collections = clients.map((client) =>
      live(client.$on('onDoc', 'watch', {}), {
        list: () => client.all(),
        compare: (one, other) => one.id - other.id,
      }),
    );
    await ann.request('subscribe_instance', { pk: 1, request_id: 1 });
    await ann.request('watch', { request_id: 2 });
    for (const rows of collections) await until(() => rows.getSnapshot().status === 'ready', 'The list');
    const last = 10 * population(30);
    for (let round = 0; round < last; round += 10) {
      const [one, other] = clients;
      const numbers = Array.from({ length: 10 }, (_, index) => round + index + 1);
      await Promise.all(
        numbers.flatMap((n) => [
          one.patch({ pk: 1, data: { name: `name ${n}` } }),
          other.patch({ pk: 1, data: { n } }),
        ]),
      );
      await app.idle();
      const { name, n } = await fork().findOneOrFail(Doc, 1);
      const stored = { id: 1, name, n };
      expect(stored).to.deep.equal({ id: 1, name: `name ${round + 10}`, n: round + 10 });
      const heard = events(ann);
      for (const requestId of [1, 2])
        expect(heard.findLast(({ request_id }) => request_id === requestId)?.data).to.deep.equal(stored);
    }
    for (const client of clients) await client.all();
    for (const rows of collections)
      expect(rows.getSnapshot().rows).to.deep.equal([
        { id: 1, name: `name ${last}`, n: last },
        { id: 2, name: 'other', n: 0 },
      ]);
    for (const client of clients) client.$close();
  });

  it('at the end of each round in which the same links are taken away and added at once', async function () {
    this.timeout(240_000);
    await ann.request('read', { reader: 3, request_id: 3 });
    await ann.request('read', { reader: 4, request_id: 4 });
    const { port } = await app.listen({ port: 0, host: '127.0.0.1' });
    const client = createClient<LinksApi>(`ws://127.0.0.1:${port}/links/`, { WebSocket });
    const collection = live(client.$on('onLinks', 'watch', {}), {
      list: () => client.all(),
      compare: (one, other) => one.id - other.id,
    });
    await until(() => collection.getSnapshot().status === 'ready', 'The list');
    await using cid = await connect(app, '/links/');
    await cid.request('subscribe_instance', { pk: 1, request_id: 1 });
    let row: unknown = { id: 1, n: 0, readers: [3] };
    await using bob = await others();
    const heard = new Map<unknown, unknown>([[3, [3]]]);
    let docsOfThree: unknown = [1];
    for (let round = 1; round <= population(300); round += 1) {
      await Promise.all([3, 4, 3, 4, 2].map((reader) => toggle(reader)));
      await app.idle();
      for (const { action, request_id, data } of events(ann))
        heard.set(request_id, action === 'delete' ? undefined : (data as { readers: unknown }).readers);
      for (const { data } of events(bob)) {
        const { id, docs } = data as { id: number; docs: unknown };
        if (id === 3) docsOfThree = docs;
      }
      const { readers } = await fork().findOneOrFail(Doc, 1, { populate: ['readers'] });
      const stored = readers.getIdentifiers('id').toSorted();
      for (const reader of [3, 4]) {
        const shown = heard.get(reader);
        if (stored.includes(reader)) expect([round, shown]).to.deep.equal([round, stored]);
        else expect([round, shown]).to.deep.equal([round, undefined]);
      }
      expect([round, docsOfThree]).to.deep.equal([round, stored.includes(3) ? [1] : []]);
      row = events(cid).at(-1)?.data ?? row;
      expect([round, row]).to.deep.equal([round, { id: 1, n: 0, readers: stored }]);
    }
    // Behind the last event, which came by the same socket.
    const listed = await client.all();
    expect(collection.getSnapshot().rows).to.deep.equal(listed);
    expect(listed.map(({ id }) => id)).to.deep.equal([1, 2]);
    client.$close();
  });

  it('to no reader whom an earlier commit removed', () => removeAndAdd(7));

  it('to no reader whom an earlier commit removed, where the next one writes nothing but a link', () =>
    removeAndAdd(0));

  it('of a row whose key was changed: the one is deleted, the other created', async () => {
    await database.orm.em.execute(`insert into coded values ('a', 'one')`);
    await using bob = await others();
    const em = fork();
    (await em.findOneOrFail(Coded, 'a')).id = 'b';
    await em.flush();
    expect(await frames(bob)).to.deep.equal([
      ['delete', { pk: 'a' }],
      ['create', { id: 'b', name: 'one' }],
    ]);
  });

  it('of rows of two classes that have the same columns', async () => {
    await using bob = await others();
    const em = fork();
    em.create(Coded, { id: 'a', name: 'coded' });
    await em.flush();
    em.create(Twin, { id: 'a', name: 'twin' });
    await em.flush();
    expect(await frames(bob)).to.deep.equal([
      ['create', { id: 'a', name: 'coded' }],
      ['create', { id: 'a', name: 'twin' }],
    ]);
  });

  it('of two rows with one key in two schemas', async () => {
    await using bob = await others();
    const em = fork();
    await em.transactional(async (inner) => {
      for (const schema of ['one', 'two']) {
        const row = inner.create(Tenanted, { id: 1, name: schema }, { schema });
        inner.persist(row);
      }
    });
    expect(await frames(bob)).to.deep.equal([
      ['create', { id: 1, name: 'one' }],
      ['create', { id: 1, name: 'two' }],
    ]);
  });

  it('of columns as a read decodes them, and as defaults, triggers and types have changed them', async () => {
    await using bob = await others();
    const em = fork();
    em.create(Stored, { id: 1, numbers: [1, 2], extra: { a: [1] }, noon: '12:00', weight: 16_777_217 });
    await em.flush();
    const stored = await fork().findOneOrFail(Stored, 1);
    const shown = {
      id: 1,
      numbers: [1, 2],
      extra: { a: [1] },
      noon: '12:00:00',
      weight: 16_777_216,
      made: 'made',
      shouted: 'MADE',
    };
    expect({ ...stored }).to.deep.equal(shown);
    expect(await frames(bob)).to.deep.equal([['create', shown]]);
  });

  it('of the links that a row of the table between makes and takes away, at both of their ends', async () => {
    await using four = await connect(app, '/docs/');
    await using bob = await others();
    await four.request('read', { reader: 4, request_id: 1 });
    const em = fork();
    const reading = em.create(Reading, { doc: em.getReference(Doc, 1), reader: em.getReference(Reader, 4) });
    await em.flush();
    expect(await frames(four)).to.deep.equal([['create', { id: 1, n: 0, readers: [3, 4] }]]);
    expect(await frames(bob)).to.deep.equal([['update', { id: 4, docs: [1] }]]);
    em.remove(reading);
    await em.flush();
    expect(await frames(four)).to.deep.equal([['delete', { pk: 1 }]]);
    expect(await frames(bob)).to.deep.equal([['update', { id: 4, docs: [] }]]);
  });

  it('of the links that a collection changes, at the far end too', async () => {
    await using bob = await others();
    const em = fork();
    const doc = await em.findOneOrFail(Doc, 1, { populate: ['readers'] });
    doc.readers.set([em.getReference(Reader, 1)]);
    await em.flush();
    const told = await frames(bob);
    expect(told).to.have.deep.members([
      ['update', { id: 1, docs: [1] }],
      ['update', { id: 3, docs: [] }],
    ]);
  });

  /** One transaction takes a link of a row away, and the next one adds another while it waits, and writes the row as well. */
  async function removeAndAdd(n: number): Promise<void> {
    await using three = await connect(app, '/docs/');
    await using four = await connect(app, '/docs/');
    await three.request('read', { reader: 3, request_id: 1 });
    await four.request('read', { reader: 4, request_id: 1 });
    const remove = async (em: EntityManager): Promise<void> => {
      const doc = await em.findOneOrFail(Doc, 1, { populate: ['readers'] });
      doc.readers.remove(em.getReference(Reader, 3));
      await em.flush();
    };
    const add = async (em: EntityManager): Promise<void> => {
      const doc = await em.findOneOrFail(Doc, 1);
      doc.readers.add(em.getReference(Reader, 4));
      doc.n = n;
    };
    await whileItWaits(fork(), remove, () => fork().transactional(add));
    expect(await frames(three)).to.deep.equal([['delete', { pk: 1 }]]);
    expect(await frames(four)).to.deep.equal([['create', { id: 1, n, readers: [4] }]]);
  }

  async function toggle(reader: number): Promise<void> {
    const work = fork().transactional(async (em) => {
      const doc = await em.findOneOrFail(Doc, 1, { populate: ['readers'] });
      const one = em.getReference(Reader, reader);
      if (doc.readers.contains(one)) doc.readers.remove(one);
      else doc.readers.add(one);
    });
    // Another one may have added the same link meanwhile.
    await work.catch((error) => expect(error).to.be.instanceOf(UniqueConstraintViolationException));
  }
});
