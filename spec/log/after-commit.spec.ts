import type { EntityManager, MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  type App,
  afterCommit,
  Consumer,
  Observer,
  path,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger } from 'signalbox/testing';
import { connectOrm, useDatabase } from '../support/database.js';
import { patience, until } from '../support/deadline.js';
import { Room } from '../support/entities.js';
import { Author } from '../support/library.js';
import { createDatabase } from '../support/postgres.js';
import { RoomWatcher } from '../support/rooms.js';
import { useServer } from '../support/serving.js';

const called = new Signal<number>('called');

@Consumer()
class ListeningConsumer extends RoomWatcher {
  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onCalled, {}, context);
  }
  @Observer(called)
  async onCalled(event: SignalEvent<number>, subscription: Subscription) {
    await subscription.send(event);
  }
}

const unheard =
  'afterCommit: is called in a transaction whose end Signalbox does not see: no application uses its database now, or MikroORM did not begin it ' +
  'with BEGIN. Call it between createApp({ orm, … }) and app.close(), in a transaction of em.transactional or em.begin of an ORM without ' +
  '`disableTransactions` and `implicitTransactions: false`.';

describe('Work that waits for a commit', () => {
  const database = useDatabase('after_commit');
  /** No application observes its models. */
  let elsewhere: MikroORM;
  const serve = useServer();
  let app: App;
  let logger: MemoryLogger;
  let ran: string[];

  before(async () => {
    elsewhere = await connectOrm(await createDatabase('after_commit_elsewhere'), {
      entities: [Author],
      contextName: 'elsewhere',
    });
    await elsewhere.schema.create();
  });
  after(() => elsewhere.close(true));
  beforeEach(() => {
    ran = [];
    ({ app, logger } = serve([path('/', ListeningConsumer)], { orm: database.orm, otherOrms: [elsewhere] }));
  });

  const will = (name: string) => () => void ran.push(name);
  const hasRun = (...names: string[]) => until(() => ran.join() === names.join(), `The work ${names.join()}`);

  const refusalOf = (work: () => void): string => {
    try {
      work();
      return 'nothing';
    } catch (error) {
      return (error as Error).message;
    }
  };

  /** A transaction of the query builder below MikroORM. */
  async function inForeignTransaction(orm: MikroORM, work: (em: EntityManager) => Promise<void>): Promise<void> {
    const transaction = await orm.em.getConnection().getClient().startTransaction().execute();
    const em = orm.em.fork();
    em.setTransactionContext(transaction);
    await work(em);
    await transaction.commit().execute();
  }

  it('runs behind the commit of every ORM of the application, also of one without observed models', async () => {
    await app.start();
    const em = elsewhere.em.fork();
    const count = () => elsewhere.em.fork().count(Author);
    await em.transactional(async (inner) => {
      inner.create(Author, { name: 'ann' });
      afterCommit(async () => void ran.push(`${await count()} stored`));
      await inner.flush();
      ran.push(`${await count()} before`);
    });
    await em
      .transactional(async () => {
        afterCommit(will('never'));
        throw new Error('no');
      })
      .catch(() => {});
    await hasRun('0 before', '1 stored');
    expect(await elsewhere.em.execute(`select from pg_namespace where nspname = 'signalbox'`)).to.deep.equal([]);
  });

  it('waits for a transaction that was begun by hand on a fork which is named', async () => {
    const em = database.orm.em.fork();
    await em.begin();
    afterCommit(will('never'), em);
    await em.rollback();
    await em.begin();
    afterCommit(will('committed'), em);
    ran.push('before');
    await em.commit();
    await hasRun('before', 'committed');
    afterCommit(will('at once'), em);
    await hasRun('before', 'committed', 'at once');
  });

  it('is refused in a transaction that MikroORM did not begin, and in a savepoint of it', async () => {
    await inForeignTransaction(database.orm, async (em) => {
      expect(refusalOf(() => afterCommit(will('never'), em))).to.equal(unheard);
      await em.transactional(async () => {
        expect(refusalOf(() => afterCommit(will('never')))).to.equal(unheard);
      });
    });
    expect(ran).to.deep.equal([]);
  });

  it('is refused behind the end of the last application', async () => {
    const em = database.orm.em.fork();
    await em.transactional(async () => {
      await app.close();
      expect(refusalOf(() => afterCommit(will('never')))).to.equal(unheard);
    });
    await em.transactional(async () => {
      expect(refusalOf(() => afterCommit(will('never')))).to.equal(unheard);
    });
    expect(ran).to.deep.equal([]);
  });

  it('has its errors in the log of the application, also outside of any transaction', async () => {
    const error = new Error('The mail server is away.');
    afterCommit(() => Promise.reject(error));
    const lines = () => logger.at('error').map((line) => [line.message, line.fields['error']]);
    await until(() => lines().length > 0, 'The line of the log');
    expect(lines()).to.deep.equal([['Work that waited for a commit failed.', error]]);
  });

  it('of another kind, a signal, is not waited for where nothing tells of the commit', async () => {
    await app.start();
    await using ann = await connect(app, '/');
    await ann.request('listen', { request_id: 1 });
    await inForeignTransaction(database.orm, async (em) => {
      await em.transactional(async () => called.send(7));
      expect((await ann.receive({ timeout: patience })).data).to.equal(7);
    });
  });

  it('leaves what a savepoint of a foreign transaction writes to the log', async () => {
    await app.start();
    await using ann = await connect(app, '/');
    await ann.request('watch', { request_id: 1 });
    await inForeignTransaction(database.orm, async (em) => {
      await em.transactional(async (inner) => void inner.create(Room, { name: 'stored' }));
      await em
        .transactional(async (inner) => {
          inner.create(Room, { name: 'rolled back' });
          await inner.flush();
          throw new Error('no');
        })
        .catch(() => {});
      em.create(Room, { name: 'stored behind it' });
      await em.flush();
    });
    const heard = [await ann.receive({ timeout: patience }), await ann.receive({ timeout: patience })];
    expect(heard.map(({ action, data }) => [action, data])).to.deep.equal([
      ['create', { id: 1, name: 'stored' }],
      ['create', { id: 3, name: 'stored behind it' }],
    ]);
  });
});
