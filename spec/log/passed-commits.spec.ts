import { EntityManager, LockMode } from '@mikro-orm/core';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import pg from 'pg';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Consumer,
  createApp,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  path,
  type Subscription,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { Room } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

@injectable()
class RoomSerializer extends ModelSerializer(Room, { fields: ['id', 'name'] }) {}

@Consumer()
class RoomConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  /** In one transaction with the subscription, which therefore cannot wait for a read of the log. */
  @Action({ status: 201, atomic: true })
  async watch(context: ActionContext) {
    await this.subscribe(this.onRoom, {}, context);
    await this.em.count(Room);
  }
  @ModelObserver(() => Room, { serializer: RoomSerializer })
  async onRoom(event: ModelEvent<Room, { id: number; name: string }>, subscription: Subscription) {
    await subscription.send(event);
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
  let app: App;
  let client: TestConnection;

  beforeEach(async () => {
    const { container } = testProviders();
    app = createApp({ orm: database.orm, container, routes: [path('/', RoomConsumer)] });
    await app.start();
    await app.idle();
    client = await connect(app, '/');
  });
  afterEach(() => app.close());

  const create = async (...names: readonly string[]): Promise<void> => {
    for (const name of names) {
      const em = database.orm.em.fork();
      em.create(Room, { name });
      await em.flush();
    }
  };

  /** What the driver sends while work is done. */
  const sentBy = async (work: () => Promise<unknown>): Promise<readonly string[]> => {
    const { query } = pg.Client.prototype;
    const sent: string[] = [];
    pg.Client.prototype.query = function (this: pg.Client, ...given: readonly unknown[]) {
      const [statement] = given as readonly [string | { readonly text: string }];
      sent.push(typeof statement === 'string' ? statement : statement.text);
      return Reflect.apply(query, this, given);
    } as typeof query;
    try {
      await work();
    } finally {
      pg.Client.prototype.query = query;
    }
    return sent;
  };
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
    const orm = await MikroORM.init({
      clientUrl: database.orm.config.get('clientUrl') ?? '',
      entities: database.orm.config.get('entities'),
      metadataProvider: ReflectMetadataProvider,
      contextName: 'narrow',
      pool: { min: 1, max: 1 },
    });
    const narrow = createApp({ orm, container: testProviders().container, routes: [path('/', RoomConsumer)] });
    await narrow.start();
    const pool = (await orm.em.getConnection().getNativeClient()) as unknown as pg.Pool;
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
