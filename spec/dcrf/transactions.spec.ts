import type { EntityManager } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  type App,
  type ChannelMessage,
  Consumer,
  createApp,
  InMemoryChannelLayer,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { emptyDatabase, useDatabase } from '../support/database.js';
import { event } from '../support/frames.js';
import { createDatabase } from '../support/postgres.js';
import { testProviders } from '../support/providers.js';
import { createThing, fill, removeThing, save, Thing, thingModels } from '../support/things.js';
import { AllThings, ByShelf, Watching } from './observer-consumers.js';

/** Fails while it is down. */
class FragileLayer extends InMemoryChannelLayer {
  isDown = false;

  override async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    if (this.isDown) throw new Error('The channel layer is down.');
    await super.sendToGroup(group, message);
  }
}

@Consumer()
class BadBody extends Watching {
  @ModelObserver(() => Thing, {
    body: ({ name }): { name: string } => {
      if (name.startsWith('bad')) throw new Error('no');
      return { name };
    },
  })
  async onThing(event: ModelEvent<Thing, { name: string }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

@injectable()
class BadSerializer extends ModelSerializer(Thing, { fields: ['id'], computed: ['label'] }) {
  label({ name }: Thing): string {
    if (name.startsWith('bad')) throw new Error('no');
    return name;
  }
}

@Consumer()
class BadSerialization extends Watching {
  @ModelObserver(() => Thing, { serializer: BadSerializer })
  async onThing(event: ModelEvent<Thing, { id: number; label: string }>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
}

/** What a spec throws to roll back. */
function ignoreOwn(error: unknown): void {
  if (!(error instanceof Error && error.message === 'no')) throw error;
}

describe('Transactions, as DCRF recorded them', () => {
  const database = useDatabase('dcrf_transactions', thingModels);
  const { container, logger } = testProviders();
  const layer = new FragileLayer();
  let app: App;
  let other: MikroORM;
  before(async () => {
    other = await MikroORM.init({
      clientUrl: await createDatabase('dcrf_transactions_other'),
      entities: thingModels,
      metadataProvider: ReflectMetadataProvider,
      // Two ORMs of one process are told apart by it; otherwise the transaction of one is taken for that of the other.
      contextName: 'other',
    });
    await other.schema.create();
    app = createApp({
      orm: database.orm,
      container,
      channelLayer: layer,
      routes: [
        path('/ws/shelf/', ByShelf),
        path('/ws/all-things/', AllThings),
        path('/ws/bad-body/', BadBody),
        path('/ws/bad-serializer/', BadSerialization),
      ],
    });
  });
  after(async () => {
    await app.close();
    await other.close(true);
  });
  beforeEach(async () => {
    await emptyDatabase(other);
    await fill(database.orm);
  });

  async function onShelf(...shelves: number[]): Promise<TestConnection> {
    const connection = await connect(app, '/ws/shelf/');
    for (const shelf of shelves) await connection.request('subscribe_shelf', { shelf, request_id: shelf });
    return connection;
  }
  const inTransaction = <T>(work: (em: EntityManager) => Promise<T>): Promise<T> =>
    database.orm.em.fork().transactional(work);
  const shown = (id: number, name: string, shelf = 1) => ({ id, name, shelf });

  it('S227 (differs) tells nothing before the commit, and one create after it', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      const thing = em.create(Thing, { name: 'new' });
      await em.flush();
      thing.name = 'newer';
      await em.flush();
      await ann.expectSilence();
    });
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'newer')));
    await ann.expectSilence();
  });

  it('S229 (differs) knows the groups of a deleted row until the commit, and nothing of the row after it', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      em.remove(await em.findOneOrFail(Thing, 1));
      await em.flush();
      await ann.expectSilence();
    });
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    await ann.expectSilence();
  });

  it('S230 (differs) makes one update of three flushes, with the last state', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      const thing = await em.findOneOrFail(Thing, 1);
      for (const name of ['tx1', 'tx2', 'tx3']) {
        thing.name = name;
        await em.flush();
      }
    });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'tx3')));
    await ann.expectSilence();
  });

  it('S231 (differs) makes one create of a create and an update', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      const thing = em.create(Thing, { name: 'cu1' });
      await em.flush();
      thing.name = 'cu2';
    });
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'cu2')));
    await ann.expectSilence();
  });

  it('S232 (differs) makes one update of two instances of one row', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      for (const name of ['two1', 'two2']) {
        const fork = em.fork({ clear: true, keepTransactionContext: true });
        (await fork.findOneOrFail(Thing, 1)).name = name;
        await fork.flush();
      }
    });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'two2')));
    await ann.expectSilence();
  });

  it('S234 (differs) makes one delete of an update and a delete', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      const thing = await em.findOneOrFail(Thing, 1);
      thing.name = 'ud';
      await em.flush();
      em.remove(thing);
    });
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    await ann.expectSilence();
  });

  it('S235 (differs) tells the net effect of several moves', async () => {
    await using ann = await onShelf(1, 2, 3);
    const move = (pk: number, shelves: readonly number[]) =>
      inTransaction(async (em) => {
        const thing = await em.findOneOrFail(Thing, pk);
        for (const shelf of shelves) {
          thing.shelf = shelf;
          await em.flush();
        }
      });
    await move(1, [2, 3]);
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 1 }));
    expect(await ann.receive()).to.deep.equal(event('create', shown(1, 'alpha', 3), 3));
    await move(2, [2, 1]);
    expect(await ann.receive()).to.deep.equal(event('update', shown(2, 'beta')));
    await ann.expectSilence();
  });

  it('S236 (differs) tells a row that was created and moved where it is in the end', async () => {
    await using ann = await onShelf(1, 2);
    await inTransaction(async (em) => {
      const thing = em.create(Thing, { name: 'cm', shelf: 1 });
      await em.flush();
      thing.shelf = 2;
    });
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'cm', 2), 2));
    await ann.expectSilence();
  });

  it('S237 (differs) tells nothing of what was rolled back', async () => {
    await using ann = await onShelf(1);
    const failing = inTransaction(async (em) => {
      (await em.findOneOrFail(Thing, 1)).name = 'lost';
      await em.flush();
      expect(await em.count(Thing, { name: 'lost' })).to.equal(1);
      throw new Error('no');
    });
    await failing.catch(ignoreOwn);
    await ann.expectSilence();
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'alpha')));
  });

  it('S239 (differs) tells the rows of one commit in the order in which they were written', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      for (const n of [0, 1, 2, 3]) em.create(Thing, { name: `order${n}` });
    });
    for (const n of [0, 1, 2, 3]) expect(await ann.receive()).to.deep.equal(event('create', shown(4 + n, `order${n}`)));
  });

  it('S240 (differs) tells the last state of a released savepoint once, and warns of nothing', async () => {
    await using ann = await onShelf(1);
    logger.entries.splice(0);
    await inTransaction(async (em) => {
      (await em.findOneOrFail(Thing, 1)).name = 'outer';
      await em.flush();
      await em.transactional(async (inner) => {
        (await inner.findOneOrFail(Thing, 1)).name = 'inner';
      });
    });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'inner')));
    await ann.expectSilence();
    expect(logger.at('warn')).to.deep.equal([]);
  });

  it('S241 (differs) tells nothing where only a savepoint wrote and was rolled back', async () => {
    await using ann = await onShelf(1);
    await inTransaction((em) => failingSavepoint(em, 'inner'));
    await ann.expectSilence();
    await save(database.orm, 1, { count: 1 });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'alpha')));
  });

  it('S242 (differs) tells what is in the database where a savepoint was rolled back', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      (await em.findOneOrFail(Thing, 1)).name = 'outer';
      await em.flush();
      await failingSavepoint(em, 'inner');
    });
    expect(await ann.receive()).to.deep.equal(event('update', shown(1, 'outer')));
    await ann.expectSilence();
  });

  it('keeps three levels of savepoints apart', async () => {
    await using ann = await onShelf(1);
    await inTransaction(async (em) => {
      em.create(Thing, { name: 'first' });
      await em.flush();
      await em
        .transactional(async (second) => {
          second.create(Thing, { name: 'second' });
          await second.flush();
          await second.transactional(async (third) => void third.create(Thing, { name: 'third' }));
          throw new Error('no');
        })
        .catch(() => undefined);
    });
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'first')));
    await ann.expectSilence();
  });

  it('S244 (differs) tells of the database of the application only, and by its own commit', async () => {
    await using ann = await onShelf(1);
    await createThing(other, 'other-db');
    await ann.expectSilence();
    const rolledBack = other.em.fork().transactional(async () => {
      await createThing(database.orm, 'default-db');
      throw new Error('no');
    });
    await rolledBack.catch(() => undefined);
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'default-db')));
  });

  it('S245 (differs) tells of commits all the same where the channel layer fails, which does not carry them', async () => {
    await using ann = await onShelf(1);
    layer.isDown = true;
    await createThing(database.orm, 'heard');
    expect(await ann.receive()).to.deep.equal(event('create', shown(4, 'heard')));
    await removeThing(database.orm, 4);
    expect(await ann.receive()).to.deep.equal(event('delete', { pk: 4 }));
    layer.isDown = false;
  });

  for (const { what, url, observer, good } of [
    { what: 'a body', url: '/ws/bad-body/', observer: 'BadBody.onThing', good: { name: 'good' } },
    {
      what: 'a serializer',
      url: '/ws/bad-serializer/',
      observer: 'BadSerialization.onThing',
      good: { id: 1, label: 'good' },
    },
  ]) {
    it(`S246 (differs) logs that ${what} throws, where a client subscribes, and harms neither the writer nor other observers`, async () => {
      const failed = () =>
        logger
          .at('error')
          .filter(({ fields }) => fields['observer'] === observer)
          .map(({ message, fields: { pk, error } }) => ({ message, pk, error: String(error) }));
      const failure = { message: 'A change could not be sent as an event.', error: 'Error: no' };
      logger.entries.splice(0);
      expect(await createThing(database.orm, 'bad before')).to.equal(4);
      await app.idle();
      expect(failed()).to.deep.equal([]);
      await using ann = await onShelf(1);
      await using bob = await connect(app, url);
      await bob.request('watch', { request_id: 2 });
      expect(await createThing(database.orm, 'bad')).to.equal(5);
      expect(await ann.receive()).to.deep.equal(event('create', shown(5, 'bad')));
      await bob.expectSilence();
      expect(failed()).to.deep.equal([{ ...failure, pk: 5 }]);
      expect(await database.orm.em.fork().count(Thing, { name: { $like: 'bad%' } })).to.equal(2);
      await save(database.orm, 1, { name: 'good' });
      expect(await bob.receive()).to.deep.equal(event('update', good, 2));
    });
  }

  async function failingSavepoint(em: EntityManager, name: string): Promise<void> {
    const failing = em.transactional(async (inner) => {
      (await inner.findOneOrFail(Thing, 1)).name = name;
      await inner.flush();
      expect(await inner.count(Thing, { name })).to.equal(1);
      throw new Error('no');
    });
    await failing.catch(ignoreOwn);
  }
});
