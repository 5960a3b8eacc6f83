import { AsyncLocalStorage } from 'node:async_hooks';
import type { EntityManager } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Announcer,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  type ModelEvent,
  ModelObserver,
  path,
  type Subscription,
} from 'signalbox';
import { connect } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { event } from '../support/frames.js';
import { lockWaits } from '../support/locks.js';
import { testProviders } from '../support/providers.js';
import { fill, Person, save, Tag, Thing, thingModels } from '../support/things.js';
import { unreportedWriters, writeBoth } from '../support/unreported-writers.js';
import { AllThings, ByShelf } from './observer-consumers.js';

@Consumer()
class AllPeople extends ApiConsumer {
  @ModelObserver(() => Person)
  async onPerson(event: ModelEvent<Person>, subscription: Subscription) {
    await subscription.send(event);
  }
}

describe('Writes past the unit of work, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_unreported', thingModels);
  const { container, logger } = testProviders();
  let app: App;
  let announcer: Announcer;
  /** What the write of an asynchronous context waits for at its end: see `secondly`. */
  const held = new AsyncLocalStorage<Promise<void>>();
  before(() => {
    // Before createApp, so that it is asked before the framework.
    database.orm.em.getEventManager().registerSubscriber({
      afterUpsert: async () => held.getStore(),
      beforeTransactionCommit: async () => held.getStore(),
    });
    app = createApp({
      orm: database.orm,
      container,
      settings: { development: true },
      routes: [path('/ws/shelf/', ByShelf), path('/ws/all-things/', AllThings)],
    });
    announcer = container.resolve(Announcer);
  });
  after(() => app.close());
  beforeEach(async () => {
    await fill(database.orm);
    await app.idle();
    logger.entries.splice(0);
  });

  const warned = () => logger.at('warn').map(({ message, fields }) => `${message} ${fields['model']}`);
  const warning = 'Rows were written, and no observer receives the change. Thing';

  it('S191 (differs) tells what the unit of work and upserts write, and warns of native, bulk and raw writes', async () => {
    await using ann = await connect(app, '/ws/all-things/');
    await ann.request('subscribe_all', { request_id: 1 });
    const em = database.orm.em.fork();
    await em.nativeUpdate(Thing, { id: 1 }, { count: 5 });
    await em.insertMany(Thing, [{ name: 'b1' }, { name: 'b2' }]);
    await em.createQueryBuilder(Thing).update({ shelf: 1 }).where({ id: 2 }).execute();
    await em.getConnection().execute(`update thing set name = 'raw' where id = 1`);
    await em.nativeDelete(Thing, { id: 5 });
    await ann.expectSilence();
    expect(warned()).to.deep.equal([warning, warning, warning, warning, warning]);
    const places = logger.at('warn').map(({ fields }) => fields['place']);
    for (const place of places) expect(place).to.match(/^(build\/)?spec\/dcrf\/unreported-writes\.spec\.[jt]s:\d+$/);
    expect(new Set(places)).to.have.lengthOf(5);
    const created = await em.upsert(Thing, { id: 6, name: 'goc' });
    expect(await ann.receive()).to.deep.equal(event('create', { pk: 6 }));
    await em.fork().upsert(Thing, { id: 6, name: 'goc', count: 4 });
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 6 }));
    em.remove(created);
    await em.flush();
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 6 }));
    expect(warned()).to.have.lengthOf(5);
  });

  it('warns once per place, and not of what is announced', async () => {
    const em = database.orm.em.fork();
    for (const count of [1, 2, 3]) await em.nativeUpdate(Thing, { id: 1 }, { count });
    expect(warned()).to.deep.equal([warning]);
    await announcer.announcing(Thing, [1], () => em.nativeUpdate(Thing, { id: 1 }, { count: 9 }));
    await em.nativeUpdate(Person, { id: 1 }, { username: 'nobody observes people' });
    expect(warned()).to.deep.equal([warning]);
  });

  for (const [way, { line, write }] of Object.entries(unreportedWriters)) {
    it(`names the line of the application: ${way}`, async () => {
      await write(database.orm.em.fork());
      expect(logger.at('warn').map(({ fields }) => fields['place'])).to.deep.equal([line]);
      await write(database.orm.em.fork());
      expect(warned()).to.deep.equal([warning]);
    });
  }

  it('names a line once per model', async () => {
    const { container: own, logger: log } = testProviders();
    const routes = [path('/things/', AllThings), path('/people/', AllPeople)];
    const other = createApp({ orm: database.orm, container: own, settings: { development: true }, routes });
    const em = database.orm.em.fork();
    for (const model of [Thing, Person, Thing, Person]) await writeBoth(em, model, 77);
    expect(log.at('warn').map(({ fields }) => fields['model'])).to.deep.equal(['Thing', 'Person']);
    await other.close();
  });

  describe('in a hook of the ORM, which reports none of them, warns of', () => {
    let write: (em: EntityManager) => Promise<unknown> = async () => {};
    const hook = async (): Promise<void> => void (await write(database.orm.em.fork()));
    before(() => {
      database.orm.em.getEventManager().registerSubscriber({ afterUpdate: hook, beforeUpsert: hook });
    });
    afterEach(() => {
      write = async () => {};
    });

    const cases: readonly [string, typeof write][] = [
      ['SQL of a connection', (em) => em.getConnection().execute('update thing set count = 4 where id = 1')],
      ['a query builder', (em) => em.qb(Thing).update({ count: 4 }).where({ id: 1 }).execute()],
      ['a native update', (em) => em.nativeUpdate(Thing, { id: 1 }, { count: 4 })],
    ];
    const hooks: readonly [string, (em: EntityManager) => Promise<unknown>][] = [
      ['flush', async (em) => em.assign(await em.findOneOrFail(Tag, 1), { name: 'anew' }) && em.flush()],
      ['upsert', (em) => em.upsert(Tag, { id: 2, name: 'anew' })],
    ];
    for (const [what, writes] of cases) {
      for (const [name, run] of hooks) {
        it(`${what}, in a hook of ${name}`, async () => {
          const { container: own, logger: log } = testProviders();
          const routes = [path('/', AllThings)];
          const other = createApp({ orm: database.orm, container: own, settings: { development: true }, routes });
          write = writes;
          await run(database.orm.em.fork());
          expect(log.at('warn').map(({ fields }) => fields['model'])).to.deep.equal(['Thing']);
          await other.close();
        });
      }
    }
  });

  it('warns where the database cascades a delete into rows that are observed', async () => {
    const em = database.orm.em.fork();
    em.remove(await em.findOneOrFail(Tag, 2));
    await em.flush();
    expect(warned()).to.deep.equal([]);
    await em.nativeDelete(Tag, { id: 1 });
    expect(warned()).to.deep.equal(['The database may change rows, and no observer receives the change. Thing']);
    expect(String(logger.at('warn')[0]?.fields['place'])).to.match(/unreported-writes\.spec/);
  });

  it('tells members that a write past the unit of work changed, whether or not groups are derived from them', async () => {
    const { container: own } = testProviders();
    const other = createApp({ orm: database.orm, container: own, routes: [path('/', AllThings)] });
    await using ann = await connect(other, '/');
    await ann.request('subscribe_all', { request_id: 1 });
    const sql = (text: string) => () => database.orm.em.getConnection().execute(text);
    const announcing = own.resolve(Announcer).announcing.bind(own.resolve(Announcer));
    await announcing(Thing, [1, 2], sql('insert into thing_tags (thing_id, tag_id) values (1, 1), (1, 2)'));
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await announcing(Thing, [1], sql('delete from thing_tags where tag_id = 1'));
    expect(await ann.receive()).to.deep.equal(event('update', { pk: 1 }));
    await announcing(Thing, [1], sql('update thing_tags set tag_id = tag_id'));
    await ann.expectSilence();
    await other.close();
  });

  it('tells an upsert by a unique property, and nothing of one that changes nothing', async () => {
    await using ann = await connect(app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await database.orm.em.fork().upsertMany(Thing, [
      { id: 1, name: 'alpha', shelf: 2, count: 0 },
      { id: 2, name: 'beta', shelf: 1, count: 0 },
      { id: 9, name: 'nine', shelf: 1, count: 0 },
    ]);
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await ann.receive()).to.deep.equal(event('create', { id: 9, name: 'nine', shelf: 1 }));
    await ann.expectSilence();
  });

  it('tells a move that was announced around the write', async () => {
    await using ann = await connect(app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    const em = database.orm.em.fork();
    await announcer.announcing(Thing, [1, 2], () => em.nativeUpdate(Thing, { id: 1 }, { shelf: 2 }));
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 2 }, 2));
    await ann.expectSilence();
  });

  it('stages what is announced inside a transaction', async () => {
    await using ann = await connect(app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    await database.orm.em.fork().transactional(async (em) => {
      await announcer.announce(Thing, [1], 'delete');
      await em.nativeUpdate(Thing, { id: 1 }, { shelf: 2 });
      await announcer.announce(Thing, [1], 'create');
      await ann.expectSilence();
    });
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 2 }, 2));
    const rolledBack = database.orm.em.fork().transactional(async () => {
      await announcer.announce(Thing, [2], 'update');
      throw new Error('no');
    });
    await rolledBack.catch(() => undefined);
    await ann.expectSilence();
  });

  it('tells a stale writer where the row is, and does not move it back', async () => {
    const stale = database.orm.em.fork();
    const thing = await stale.findOneOrFail(Thing, 1);
    await save(database.orm, 1, { shelf: 2 });
    await app.idle();
    await using ann = await connect(app, '/ws/shelf/');
    await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
    await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
    thing.name = 'late';
    await stale.flush();
    expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'late', shelf: 2 }, 2));
    await ann.expectSilence();
  });

  /**
   * Commits what `first` writes while `second` waits for its rows. The database answers both at about the same time, and
   * the process may read the second answer first; then the events come in that order (docs/guarantees.md). Here the second
   * write ends when the first one is answered.
   */
  async function secondly(first: (em: EntityManager) => Promise<void>, second: () => Promise<unknown>): Promise<void> {
    const answered = Promise.withResolvers<void>();
    let written: Promise<unknown> | undefined;
    await database.orm.em.fork().transactional(async (em) => {
      await first(em);
      await em.flush();
      written = held.run(answered.promise, second);
      await lockWaits(database.orm.em);
    });
    answered.resolve();
    await written;
  }

  for (const { what, write, told } of [
    { what: 'deletes', write: (em: EntityManager, thing: Thing) => em.remove(thing), told: event('delete', { pk: 1 }) },
    {
      what: 'changes',
      write: (_: EntityManager, thing: Thing) => Object.assign(thing, { name: 'late' }),
      told: event('update', { id: 1, name: 'late', shelf: 2 }),
    },
  ]) {
    it(`tells that a writer ${what} a row which was deleted and created anew while it waited`, async () => {
      await using ann = await connect(app, '/ws/shelf/');
      await ann.request('subscribe_shelf', { shelf: 2, request_id: 1 });
      const late = database.orm.em.fork();
      write(late, await late.findOneOrFail(Thing, 1));
      await secondly(
        async (em) => {
          em.remove(await em.findOneOrFail(Thing, 1));
          await em.flush();
          em.create(Thing, { id: 1, name: 'new', shelf: 2 });
        },
        () => late.flush(),
      );
      expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'new', shelf: 2 }));
      expect(await ann.receive()).to.deep.equal(told);
      await ann.expectSilence();
    });
  }

  for (const { where, upsert } of [
    { where: 'of its own', upsert: (row: object) => database.orm.em.fork().upsert(Thing, row) },
    {
      where: 'in a transaction',
      upsert: (row: object) => database.orm.em.fork().transactional((em) => em.upsert(Thing, row)),
    },
  ]) {
    const meanwhile = (write: (em: EntityManager, thing: Thing) => Promise<void>, row: object) =>
      secondly(
        async (em) => write(em, await em.findOneOrFail(Thing, 1)),
        // MikroORM 7.2.1 reads a decimal that the upsert leaves out and that is null as 'null', and then writes that.
        () => upsert({ price: null, ...row }),
      );

    it(`tells an upsert ${where} by the row that was moved while it waited`, async () => {
      await using ann = await connect(app, '/ws/shelf/');
      await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
      await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
      await meanwhile(
        async (_, thing) => {
          thing.shelf = 2;
        },
        { id: 1, name: 'late', shelf: 2 },
      );
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
      expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 2 }, 2));
      expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'late', shelf: 2 }, 2));
      await ann.expectSilence();
    });

    it(`tells an upsert ${where} as a create of a row that was deleted while it waited, also with the same columns`, async () => {
      await using ann = await connect(app, '/ws/shelf/');
      await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
      await meanwhile(async (em, thing) => void em.remove(thing), { id: 1, name: 'alpha', shelf: 1, count: 0 });
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
      expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'alpha', shelf: 1 }));
      await ann.expectSilence();
    });

    it(`tells an upsert ${where} by the row that was deleted and created anew while it waited`, async () => {
      await using ann = await connect(app, '/ws/shelf/');
      await ann.request('subscribe_shelf', { shelf: 1, request_id: 1 });
      await ann.request('subscribe_shelf', { shelf: 2, request_id: 2 });
      await meanwhile(
        async (em, thing) => {
          em.remove(thing);
          await em.flush();
          em.create(Thing, { id: 1, name: 'new', shelf: 2 });
        },
        { id: 1, name: 'late', shelf: 2 },
      );
      expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
      expect(await ann.receive()).to.deep.equal(event('create', { id: 1, name: 'new', shelf: 2 }, 2));
      expect(await ann.receive()).to.deep.equal(event('update', { id: 1, name: 'late', shelf: 2 }, 2));
      await ann.expectSilence();
    });
  }

  it('costs nothing once the application is closed', async () => {
    const { container: own, logger: closing } = testProviders();
    const other = createApp({ orm: database.orm, container: own, routes: [path('/', AllThings)] });
    await other.close();
    await database.orm.em.fork().nativeUpdate(Thing, { id: 1 }, { count: 7 });
    expect(closing.at('warn')).to.deep.equal([]);
  });
});
