import { EntityManager } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import { IsString } from 'class-validator';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppOptions,
  type ChangeLogWriter,
  type ChangeLogWriterOptions,
  Connections,
  Consumer,
  GroupsForBoth,
  type ModelEvent,
  ModelObserver,
  NotAuthenticated,
  Observer,
  type Permission,
  path,
  queryTicket,
  type Route,
  type Scope,
  Signal,
  type SignalEvent,
  type Subscription,
  Tickets,
  type UserStore,
  writeChangeLog,
} from 'signalbox';
import { connect, MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { ChangeLog } from '#signalbox/log/change-log.js';
import { addressOf, connectOrm, useDatabase, useSecondOrm } from '../support/database.js';
import { patience, until } from '../support/deadline.js';
import { Room, User } from '../support/entities.js';
import { revoked } from '../support/frames.js';
import { type PostgresServer, startPostgres } from '../support/postgres.js';
import { RoomSerializer } from '../support/rooms.js';
import { type Served, SilentConsumer, UserOfAddress, useServer } from '../support/serving.js';
import { work } from './worker-example.js';

const departed = new Signal<{ readonly train: number }>('departed');
/** The same, as the module of another process has it. */
const departedElsewhere = new Signal<{ readonly train: number }>('departed');
const whispered = new Signal<string>();

class Named {
  @IsString() name!: string;
}

let isPermitted = true;

class IsPermitted implements Permission {
  hasPermission() {
    return isPermitted;
  }
}

@Consumer()
class RoomConsumer extends ApiConsumer {
  @Action({ status: 201 })
  async watch(kwargs: Named, context: ActionContext) {
    await this.subscribe(this.onRoom, kwargs, context);
  }
  @Action({ status: 201, permissions: [IsPermitted] })
  async watchWhilePermitted(kwargs: Named, context: ActionContext) {
    await this.subscribe(this.onRoom, kwargs, context);
  }
  @ModelObserver(() => Room, { serializer: RoomSerializer })
  async onRoom(event: ModelEvent<Room, { id: number; name: string }>, subscription: Subscription<Named>) {
    await subscription.send(event);
  }
  @GroupsForBoth('onRoom')
  protected *groupsOfName({ name }: Room | Named) {
    yield name;
  }

  @Action({ status: 201 })
  async listen(context: ActionContext) {
    await this.subscribe(this.onDeparted, {}, context);
  }
  @Observer(departed)
  async onDeparted(event: SignalEvent<{ readonly train: number }>, subscription: Subscription) {
    await subscription.send({ ...event, data: event.data.train });
  }

  @Action()
  async who({ scope }: ActionContext) {
    return scope.identity?.userId ?? null;
  }
}

let reached = Promise.withResolvers<void>();
let left = Promise.withResolvers<void>();

/** Takes as long as the spec wishes. */
@injectable()
class SlowLogin extends UserOfAddress {
  override async apply(scope: Scope): Promise<void> {
    if (scope.query.has('slow')) {
      reached.resolve();
      await left.promise;
    }
    await super.apply(scope);
  }
}

describe('Several applications on one database', () => {
  const database = useDatabase('several_applications');
  const second = useSecondOrm(database);
  const serve = useServer();
  const writers: ChangeLogWriter[] = [];

  beforeEach(() => {
    isPermitted = true;
    reached = Promise.withResolvers();
    left = Promise.withResolvers();
  });
  afterEach(async () => {
    await Promise.all(writers.splice(0).map((writer) => writer.close()));
  });

  function open(orm: MikroORM, options: Partial<AppOptions<readonly Route[]>> = {}): Served {
    const routes = [
      path('/', RoomConsumer, { middleware: [SlowLogin] }),
      path('/ticket/', RoomConsumer, { middleware: [queryTicket()] }),
    ];
    return serve(routes, { orm, ...options });
  }

  async function openTwo(options: Partial<AppOptions<readonly Route[]>> = {}): Promise<readonly [Served, Served]> {
    const both = [open(database.orm, options), open(second.orm, options)] as const;
    await Promise.all(both.map(({ app }) => app.start()));
    return both;
  }

  async function add(orm: MikroORM, name: string): Promise<void> {
    const em = orm.em.fork();
    em.create(Room, { name });
    await em.flush();
  }

  const nameOf = async (client: TestConnection): Promise<unknown> => {
    const { action, data } = await client.receive({ timeout: patience });
    return `${action} ${(data as { readonly name?: string }).name ?? JSON.stringify(data)}`;
  };

  async function watching(app: App, name: string): Promise<TestConnection> {
    const client = await connect(app, '/');
    expect(await client.request('watch', { name, request_id: name })).to.include({ response_status: 201 });
    return client;
  }

  async function worker(options: Partial<ChangeLogWriterOptions> = {}): Promise<ChangeLogWriter> {
    const writer = await writeChangeLog({ orm: second.orm, logger: new MemoryLogger(), ...options });
    writers.push(writer);
    return writer;
  }

  describe('hear of changes', () => {
    it('of no model where none is observed: a commit leaves nothing in the log', async () => {
      await database.orm.em.execute('drop schema if exists signalbox cascade');
      const { app } = serve([path('/', SilentConsumer)], { orm: database.orm });
      await app.start();
      await add(database.orm, 'lobby');
      expect(await database.orm.em.execute('select id from signalbox.log')).to.deep.equal([]);
    });

    it('that the other one commits, at once, although they poll every 30 s', async () => {
      const [one, other] = await openTwo();
      await using here = await watching(one.app, 'lobby');
      await using there = await watching(other.app, 'lobby');
      await add(database.orm, 'lobby');
      expect([await nameOf(here), await nameOf(there)]).to.deep.equal(['create lobby', 'create lobby']);
    });

    it('also where nothing rings, by polling', async () => {
      const [one] = await openTwo({ settings: { changeLog: { listen: false } } });
      await using here = await watching(one.app, 'lobby');
      await add(second.orm, 'lobby');
      expect(await nameOf(here)).to.equal('create lobby');
    });

    it('also after the connection that listens was lost, which is told in the log', async () => {
      const [one] = await openTwo();
      await using here = await watching(one.app, 'lobby');
      const isTold = (message: string) =>
        [...one.logger.at('warn'), ...one.logger.at('info')].some((line) => line.message === message);
      const isListening = async (): Promise<boolean> => {
        const sql = `select from pg_stat_activity where datname = current_database() and application_name = 'signalbox'`;
        return (await database.orm.em.execute<unknown[]>(sql)).length === 2;
      };
      await until(isListening, 'The connections that listen');
      await database.orm.em.execute(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'signalbox'`,
      );
      await add(second.orm, 'lobby');
      expect(await nameOf(here)).to.equal('create lobby');
      await until(() => isTold('This process hears of the commits of other processes again.'), 'The end of the outage');
      expect(
        isTold('This process does not hear of the commits of other processes, and polls for them meanwhile.'),
      ).to.equal(true);
    });

    it('of a transaction that MikroORM did not begin, in the other one too', async () => {
      const [one] = await openTwo();
      await using here = await watching(one.app, 'lobby');
      const em = second.orm.em.fork();
      await em.upsert(Room, { name: 'lobby', archived: false });
      expect(await nameOf(here)).to.equal('create lobby');
    });
  });

  describe('are told of what a process without consumers', () => {
    it('commits', async () => {
      const { app } = open(database.orm);
      await using ann = await watching(app, 'lobby');
      await worker();
      await add(second.orm, 'lobby');
      expect(await nameOf(ann)).to.equal('create lobby');
    });

    it('changes, with the groups before and after', async () => {
      const { app } = open(database.orm);
      await worker();
      await add(second.orm, 'lobby');
      await using lobby = await watching(app, 'lobby');
      await using cellar = await watching(app, 'cellar');
      const em = second.orm.em.fork();
      (await em.findOneOrFail(Room, { name: 'lobby' })).name = 'cellar';
      await em.flush();
      expect(await nameOf(lobby)).to.equal('delete {"pk":1}');
      expect(await nameOf(cellar)).to.equal('create cellar');
    });

    it('commits before any application was ever started, and what of it is observed', async () => {
      await database.orm.em.execute('drop schema if exists signalbox cascade');
      await worker();
      await add(second.orm, 'lobby');
      const count = async (): Promise<unknown> => {
        const [row] = await database.orm.em.execute<{ count: number }[]>(
          'select count(*)::int as count from signalbox.log',
        );
        return row?.count;
      };
      expect(await count()).to.equal(1);
      const { app } = open(database.orm);
      await app.start();
      const em = second.orm.em.fork();
      // The application observes rooms and no users: once the worker has heard that, a user leaves nothing in the log.
      const isLeftOut = async (): Promise<boolean> => {
        const before = await count();
        em.create(User, { username: `user ${before} ${Math.random()}`, password: 'x' });
        await em.flush();
        return (await count()) === before;
      };
      await until(isLeftOut, 'What is observed');
    });

    it('announces', async () => {
      const { app } = open(database.orm);
      await using ann = await watching(app, 'cellar');
      const { announcer } = await worker();
      await add(second.orm, 'lobby');
      await announcer.announcing(Room, [1], () =>
        second.orm.em.fork().nativeUpdate(Room, { id: 1 }, { name: 'cellar' }),
      );
      expect(await nameOf(ann)).to.equal('create cellar');
    });

    it('signals: with the commit of the transaction, and at once outside of any', async () => {
      const { app } = open(database.orm);
      await using ann = await connect(app, '/');
      await ann.request('listen', { request_id: 1 });
      await worker({ signals: [departedElsewhere] });
      departedElsewhere.send({ train: 1 });
      await second.orm.em.fork().transactional(async () => departedElsewhere.send({ train: 2 }));
      await second.orm.em
        .fork()
        .transactional(async () => {
          departedElsewhere.send({ train: 3 });
          throw new Error('Rolled back.');
        })
        .catch(() => {});
      departedElsewhere.send({ train: 4 });
      const trains = [await ann.receive(), await ann.receive(), await ann.receive()].map(({ data }) => data);
      expect(trains).to.have.members([1, 2, 4]);
    });

    it('does as the documentation shows', async () => {
      const { app } = open(database.orm);
      await using ann = await watching(app, 'platform');
      await ann.request('listen', { request_id: 1 });
      await work(addressOf(database));
      const told = [await nameOf(ann), await nameOf(ann)];
      expect(told).to.have.members(['create platform', 'on_departed 9']);
    });

    it('may not signal without a name for it', async () => {
      const refused = await writeChangeLog({ orm: second.orm, signals: [whispered] }).catch(
        (error: Error) => error.message,
      );
      expect(refused).to.equal(
        "writeChangeLog.signals: has a signal without a name: other processes could not recognize it. Name it where it is made: new Signal<…>('departed').",
      );
    });
  });

  describe('close the connections of a user', () => {
    it('in both, whichever is told, by an injected service too', async () => {
      const [one, other] = await openTwo();
      await using here = await connect(one.app, '/?user=1');
      await using there = await connect(other.app, '/?user=1');
      await using bob = await connect(other.app, '/?user=2');
      await one.container.resolve(Connections).disconnectUser(1);
      expect([await here.closed, await there.closed]).to.deep.equal([4401, 4401]);
      expect((await bob.request('who')).data).to.equal('2');
      await one.app.disconnectSession('session-of-2', 'Elsewhere.', 4403);
      expect(await bob.closed).to.equal(4403);
    });

    it('whose handshake is under way in the other', async () => {
      const [one, other] = await openTwo();
      const connecting = connect(other.app, '/?user=1&slow=1').catch((error: unknown) => error);
      await reached.promise;
      await one.app.disconnectUser(1);
      await other.app.idle();
      left.resolve();
      expect(await connecting).to.be.instanceOf(NotAuthenticated);
    });

    it('before any event that is committed later', async () => {
      const [one, other] = await openTwo();
      await using there = await connect(other.app, '/?user=1');
      await there.request('watch', { name: 'lobby', request_id: 1 });
      await one.app.disconnectUser(1);
      await add(database.orm, 'lobby');
      await other.app.idle();
      expect(await there.closed).to.equal(4401);
      expect(there.frames.filter(({ action }) => action === 'create')).to.deep.equal([]);
    });

    it('once: those that the user opens afterwards, to the application that gave the order, stay open', async () => {
      const [one, other] = await openTwo();
      await using there = await connect(other.app, '/?user=1');
      await one.app.disconnectUser(1);
      await using back = await connect(one.app, '/?user=1');
      expect(await there.closed).to.equal(4401);
      await one.app.idle();
      expect((await back.request('who')).data).to.equal('1');
    });

    it('at once where a transaction is rolled back around it', async () => {
      const [one, other] = await openTwo();
      await using there = await connect(other.app, '/?user=1');
      const em: EntityManager = database.orm.em.fork();
      await em
        .transactional(async () => {
          await one.app.disconnectUser(1);
          throw new Error('Rolled back.');
        })
        .catch(() => {});
      expect(await there.closed).to.equal(4401);
    });

    it('and refuse a ticket that was issued to him before', async () => {
      const [one, other] = await openTwo();
      const issued = await other.container.resolve(Tickets).issue({ userId: '1' }, undefined);
      one.clock.advance(1);
      await one.app.disconnectUser(1);
      await other.app.idle();
      const refused = await connect(other.app, `/ticket/?ticket=${issued.ticket}`).catch((error: unknown) => error);
      expect(refused).to.include({ status: 401 });
    });
  });

  it('hold the events of connections whose user is loaded anew, until the answer', async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<undefined>();
    class Users implements UserStore {
      find(): Promise<undefined> {
        asked.resolve();
        return answer.promise;
      }
    }
    const [one, other] = await openTwo({ users: Users });
    await using there = await connect(other.app, '/?user=1');
    await there.request('watch', { name: 'lobby', request_id: 1 });
    await using bob = await connect(other.app, '/?user=2');
    await bob.request('watch', { name: 'lobby', request_id: 1 });
    await one.container.resolve(Connections).recheckUser(1);
    await add(database.orm, 'lobby');
    await asked.promise;
    expect(await nameOf(bob)).to.equal('create lobby');
    answer.resolve(undefined);
    expect(await there.closed).to.equal(4401);
    expect(there.frames.filter(({ action }) => action === 'create')).to.deep.equal([]);
  });

  it('ask subscriptions again in both, which one of them is asked to', async () => {
    const [one, other] = await openTwo();
    await using here = await connect(one.app, '/');
    await using there = await connect(other.app, '/');
    for (const client of [here, there]) await client.request('watch_while_permitted', { name: 'lobby', request_id: 1 });
    one.app.recheck(RoomConsumer, 'onRoom', ['lobby']);
    await other.app.idle();
    await add(second.orm, 'lobby');
    expect([await nameOf(here), await nameOf(there)]).to.deep.equal(['create lobby', 'create lobby']);
    isPermitted = false;
    one.app.recheck(RoomConsumer, 'onRoom', ['cellar', 'lobby']);
    expect([await here.receive(), await there.receive()]).to.deep.equal([revoked(1), revoked(1)]);
  });

  it('have a line in the log that names a recheck which could not be written for the other one', async () => {
    const [one] = await openTwo();
    const log = ChangeLog.of(database.orm);
    const { tell } = log;
    log.tell = () => Promise.reject(new Error('It is full.'));
    one.app.recheck(RoomConsumer, 'onRoom', ['lobby']);
    log.tell = tell;
    await until(() => one.logger.at('error').length === 1, 'The line');
    expect(one.logger.at('error').map(({ message }) => message)).to.deep.equal([
      'A recheck could not be written to the change log, so other processes do not carry it out.',
    ]);
  });

  it('open a socket with a ticket that the other one issued, once', async () => {
    const [one, other] = await openTwo();
    const { ticket } = await one.container.resolve(Tickets).issue({ userId: '7' }, undefined);
    await using ann = await connect(other.app, `/ticket/?ticket=${ticket}`);
    expect((await ann.request('who')).data).to.equal('7');
    for (const { app } of [one, other])
      expect(await connect(app, `/ticket/?ticket=${ticket}`).catch((error: unknown) => error)).to.include({
        status: 401,
      });
  });
});

describe('An order that is given while the database is away', () => {
  const serve = useServer();
  let server: PostgresServer;
  let here: MikroORM;
  let there: MikroORM;

  before(async () => {
    server = await startPostgres();
    const clientUrl = await server.createDatabase('orders');
    [here, there] = [await connectOrm(clientUrl), await connectOrm(clientUrl)];
    await here.schema.create();
  });
  after(async () => {
    await Promise.all([here.close(true), there.close(true)]);
    await server.stop();
  });

  it('is obeyed here at once, and by the others when it is back', async () => {
    const routes = [path('/', RoomConsumer, { middleware: [UserOfAddress] })];
    const [one, other] = [serve(routes, { orm: here }), serve(routes, { orm: there })];
    await using ann = await connect(one.app, '/?user=1');
    await using anna = await connect(other.app, '/?user=1');
    await server.halt('fast');
    await one.app.disconnectUser(1);
    expect(await ann.closed).to.equal(4401);
    expect((await anna.request('who')).data).to.equal('1');
    expect(one.logger.at('warn').map(({ message }) => message)).to.include(
      'Commands, rechecks and signals for other processes cannot be written to the change log. They are kept, and tried again.',
    );
    await server.resume();
    expect(await anna.closed).to.equal(4401);
  });
});
