import { EntityManager, LockMode } from '@mikro-orm/core';
import { expect } from 'chai';
import { Action, ActionContext, type App, Consumer, GroupsForConsumer, GroupsForSignal, path } from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { addressOf, connectOrm, useDatabase, useSecondOrm } from '../support/database.js';
import { Room } from '../support/entities.js';
import { RoomWatcher } from '../support/rooms.js';
import { allStatementsSentBy } from '../support/sent-statements.js';
import { useServer } from '../support/serving.js';

@Consumer()
class RoomConsumer extends RoomWatcher {
  constructor(private readonly em: EntityManager) {
    super();
  }

  /** In one transaction with the subscription, which therefore cannot wait for a read of the log. */
  @Action({ status: 201, atomic: true })
  override async watch(context: ActionContext) {
    await super.watch(context);
    await this.em.count(Room);
  }

  /** By a column: the row before a change is read, and locked. */
  @GroupsForSignal('onRoom')
  protected *groupsOfRoom({ archived }: Room) {
    yield String(archived);
  }
  @GroupsForConsumer('onRoom')
  protected *watchedGroups() {
    yield 'false';
  }
}

describe('Commits that no subscription waits for', () => {
  const database = useDatabase('passed_commits');
  const elsewhere = useSecondOrm(database);
  const serve = useServer();
  let app: App;
  let client: TestConnection;

  beforeEach(async () => {
    ({ app } = serve([path('/', RoomConsumer)], { orm: database.orm }));
    await app.start();
    await app.idle();
    client = await connect(app, '/');
  });

  const create = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) {
      const em = database.orm.em.fork();
      em.create(Room, { name });
      await em.flush();
    }
  };

  const sentBy = async (work: () => Promise<unknown>): Promise<readonly string[]> =>
    (await allStatementsSentBy(work)).map(({ text }) => text);
  const reads = (sent: readonly string[]): number => sent.filter((text) => text.includes('read_log')).length;

  it('are read together, and after a hundred of them at once', async () => {
    const names = Array.from({ length: 150 }, (_, index) => `room ${index}`);
    const sent = await sentBy(() => create(...names));
    expect(reads(sent)).to.be.within(1, 75);
  });

  it('are no events of a subscription that begins behind them, in a transaction either', async () => {
    await create('before');
    expect(await client.request('watch')).to.include({ response_status: 201 });
    await create('behind');
    await app.idle();
    const events = client.frames.filter(({ action }) => action === 'create');
    expect(events.map(({ data }) => data)).to.deep.equal([{ id: 2, name: 'behind' }]);
  });

  it('are committed by the message that writes their entry', async () => {
    const sent = await sentBy(() => create('one'));
    const ofRow = sent.filter((text) => !text.includes('signalbox.observed'));
    expect(ofRow.map((text) => text.split(' ', 3).join(' '))).to.deep.equal([
      'begin',
      'insert into "room"',
      'with _was as',
    ]);
    expect(await elsewhere.orm.em.fork().count(Room)).to.equal(1);
  });

  it('hand their connection over whole to what waits for one', async () => {
    const orm = await connectOrm(addressOf(database), { contextName: 'narrow', pool: { min: 1, max: 1 } });
    const { app: narrow } = serve([path('/', RoomConsumer)], { orm });
    await narrow.start();
    const pool = await orm.em.getConnection().getNativeClient();
    /** Sends its statement in the very call that hands the connection over. */
    const ask = (number: number): Promise<readonly unknown[]> =>
      new Promise((resolve, reject) => {
        pool.connect((failure, client, release) => {
          if (!client) return reject(failure);
          client
            .query('select $1::int as number', [number])
            .then(({ rows }) => resolve(rows), reject)
            .finally(() => release());
        });
      });
    try {
      for (let round = 0; round < 20; round += 1) {
        const em = orm.em.fork();
        em.create(Room, { name: `narrow ${round}` });
        const waiting: Promise<readonly unknown[]>[] = [];
        await em.transactional(async (inner) => {
          await inner.flush();
          for (const number of [1, 2, 3]) waiting.push(ask(number));
        });
        expect(await Promise.all(waiting)).to.deep.equal([[{ number: 1 }], [{ number: 2 }], [{ number: 3 }]]);
      }
    } finally {
      await narrow.close();
      await orm.close(true);
    }
  });

  it('leave nothing behind where what comes with the COMMIT fails', async () => {
    await database.orm.em.execute(
      'alter table room add constraint late unique (archived) deferrable initially deferred',
    );
    try {
      await create('one');
      const failure = await create('two').catch((error: Error) => error);
      expect(String(failure)).to.contain('duplicate key value violates unique constraint "late"');
      expect(await elsewhere.orm.em.fork().find(Room, {})).to.have.length(1);
      const em = database.orm.em.fork();
      await em.nativeDelete(Room, {});
      await create('three');
    } finally {
      await database.orm.em.execute('alter table room drop constraint late');
    }
  });

  it('lock no rows by a manager whose transaction is over', async () => {
    await create('one');
    const { em } = database.orm;
    let late = em.fork();
    await em.fork().transactional(async (inner) => {
      late = inner as typeof late;
      await inner.findOneOrFail(Room, 1);
    });
    await em.fork().transactional(async () => {
      const room = await late.findOneOrFail(Room, 1);
      room.name = 'two';
      const failure = await late.flush().catch((error: Error) => error);
      expect(String(failure)).to.match(/already (committed|rolled back)/);
      const lock = { lockMode: LockMode.PESSIMISTIC_WRITE_OR_FAIL };
      await elsewhere.orm.em.fork().transactional((other) => other.findOneOrFail(Room, 1, lock));
    });
  });
});
