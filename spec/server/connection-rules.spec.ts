import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type ConnectionRule,
  Consumer,
  closeOn,
  createApp,
  type Permission,
  Permissions,
  path,
  recheckOn,
  type Scope,
  Signal,
  type UserStore,
} from 'signalbox';
import { connect, type MemoryLogger, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase, useSecondOrm } from '../support/database.js';
import { until } from '../support/deadline.js';
import { Message, Room, User } from '../support/entities.js';
import { testProviders } from '../support/providers.js';

const banned = new Signal<{ userId: number; seriously: boolean }>();

@injectable()
class Users implements UserStore {
  constructor(private readonly em: EntityManager) {}

  find(id: string): Promise<User | null> {
    return this.em.findOne(User, { id: Number(id) });
  }
}

@injectable()
class IsNoStranger implements Permission {
  canConnect({ user }: Scope): boolean {
    return !(user as User | undefined)?.username.startsWith('stranger');
  }
}

@Permissions(IsNoStranger)
@Consumer()
class AccountConsumer extends ApiConsumer {
  constructor(private readonly em: EntityManager) {
    super();
  }

  @Action()
  async who({ scope }: ActionContext) {
    return (scope.user as User | undefined)?.username ?? null;
  }

  @Action({ atomic: true })
  async changePassword({ scope }: ActionContext) {
    const user = await this.em.findOneOrFail(User, { id: Number(scope.identity?.userId) });
    user.password = 'secret';
    return 'changed';
  }
}

describe('Connections that the application closes on a change', () => {
  const database = useDatabase('connection_rules');
  const second = useSecondOrm(database);
  const opened: App[] = [];
  let logger: MemoryLogger;
  let ann: User;
  let bob: User;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    ann = em.create(User, { username: 'ann', password: 'x' });
    bob = em.create(User, { username: 'bob', password: 'x' });
    await em.flush();
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((app) => app.close()));
  });

  function open(connections: readonly ConnectionRule[], options = {}): App {
    const providers = testProviders();
    logger = providers.logger;
    const { container } = providers;
    const routes = [path('/', AccountConsumer)];
    const app = createApp({ orm: database.orm, container, routes, users: Users, connections, ...options });
    opened.push(app);
    return app;
  }

  const as = (app: App, user: User, sessionId = 's'): Promise<TestConnection> =>
    connect(app, '/', { user, identity: { userId: String(user.id), sessionId } });
  const lives = async (connection: TestConnection): Promise<boolean> =>
    (await connection.request('who')).response_status === 200;
  const write = async (work: (em: EntityManager) => Promise<void>): Promise<void> => {
    const em: EntityManager = database.orm.em.fork();
    await work(em);
    await em.flush();
  };

  it('are those of that user, where one of the named columns changed', async () => {
    const app = open([closeOn(User, { user: (user) => user.id, changed: ['password'] })]);
    await using hers = await as(app, ann);
    await using his = await as(app, bob);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'anna';
    });
    await app.idle();
    expect(await lives(hers)).to.equal(true);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).password = 'new';
    });
    expect(await hers.closed).to.equal(4401);
    expect(await lives(his)).to.equal(true);
  });

  it('are closed after the commit, and not at all after a rollback', async () => {
    const app = open([closeOn(User, { user: (user) => user.id })]);
    await using hers = await as(app, ann);
    const em = database.orm.em.fork();
    await em
      .transactional(async (inner) => {
        (await inner.findOneOrFail(User, ann.id)).password = 'new';
        await inner.flush();
        throw new Error('Rolled back.');
      })
      .catch(() => {});
    await app.idle();
    expect(await lives(hers)).to.equal(true);
    await em.transactional(async (inner) => {
      (await inner.findOneOrFail(User, ann.id)).password = 'new';
      await inner.flush();
      expect(await lives(hers)).to.equal(true);
    });
    expect(await hers.closed).to.equal(4401);
  });

  it('answer the request that made the change before they close', async () => {
    const app = open([closeOn(User, { user: (user) => user.id, changed: ['password'] })]);
    await using hers = await as(app, ann);
    expect(await hers.request('change_password')).to.include({ response_status: 200, data: 'changed' });
    expect(await hers.closed).to.equal(4401);
  });

  it('are closed where the row is deleted, in every process that has the rule', async () => {
    const rules = [closeOn(User, { user: (user) => user.id, on: ['delete'], code: 4403, reason: 'You are gone.' })];
    const [one, other] = [open(rules), open(rules, { orm: second.orm })];
    await using here = await as(one, ann);
    await using there = await as(other, ann);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).password = 'new';
    });
    await one.idle();
    expect(await lives(here)).to.equal(true);
    await write(async (em) => void em.remove(await em.findOneOrFail(User, ann.id)));
    expect([await here.closed, await there.closed]).to.deep.equal([4403, 4403]);
  });

  it('are those of the users of a row, before and after', async () => {
    const app = open([closeOn(Room, { user: (room) => room.host?.id })]);
    const em = database.orm.em.fork();
    const room = em.create(Room, { name: 'lobby', host: ann.id });
    await em.flush();
    await app.idle();
    await using hers = await as(app, ann);
    await using his = await as(app, bob);
    room.host = em.getReference(User, bob.id);
    await em.flush();
    expect([await hers.closed, await his.closed]).to.deep.equal([4401, 4401]);
  });

  it('are those of a session', async () => {
    const app = open([closeOn(Message, { session: (message) => message.text, on: ['create'] })]);
    await using phone = await as(app, ann, 'phone');
    await using laptop = await as(app, ann, 'laptop');
    await write(async (em) => {
      em.create(Message, { text: 'phone', room: em.create(Room, { name: 'lobby' }) });
    });
    expect(await phone.closed).to.equal(4401);
    expect(await lives(laptop)).to.equal(true);
  });

  it('are asked about by a predicate that sees the row before and after', async () => {
    const app = open([
      closeOn(User, { user: (user) => user.id, when: (user, before) => user.username === `${before?.username}!` }),
    ]);
    await using hers = await as(app, ann);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'anna';
    });
    await app.idle();
    expect(await lives(hers)).to.equal(true);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'anna!';
    });
    expect(await hers.closed).to.equal(4401);
  });

  it('are closed by a signal, once what it was sent in is committed', async () => {
    const app = open([closeOn(banned, { user: ({ userId }) => userId, when: ({ seriously }) => seriously })]);
    await using hers = await as(app, ann);
    const em = database.orm.em;
    await em
      .fork()
      .transactional(async () => {
        banned.send({ userId: ann.id, seriously: true });
        throw new Error('Rolled back.');
      })
      .catch(() => {});
    banned.send({ userId: ann.id, seriously: false });
    await app.idle();
    expect(await lives(hers)).to.equal(true);
    banned.send({ userId: ann.id, seriously: true });
    expect(await hers.closed).to.equal(4401);
  });

  it('are checked again: the user is loaded anew, and let go with 4403 where nothing is open to them', async () => {
    const rules = [recheckOn(User, { user: (user) => user.id, changed: ['username'] })];
    const app = open(rules, { settings: { limits: { messageBurst: 100_000 } } });
    await using hers = await as(app, ann);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'anna';
    });
    await until(async () => (await hers.request('who')).data === 'anna', 'The user as it is now');
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'stranger';
    });
    expect(await hers.closed).to.equal(4403);
  });

  it('stay where a rule throws, which is logged, and other rules are kept', async () => {
    const app = open([
      closeOn(User, {
        user: () => {
          throw new TypeError('A slip.');
        },
      }),
      closeOn(User, { user: (user) => user.id }),
    ]);
    await using hers = await as(app, ann);
    await write(async (em) => {
      (await em.findOneOrFail(User, ann.id)).username = 'anna';
    });
    expect(await hers.closed).to.equal(4401);
    expect(logger.at('error').map(({ message, fields }) => [message, fields['of']])).to.deep.equal([
      ['Connections could not be closed or checked again.', 'User'],
    ]);
  });

  for (const [name, rule, message] of [
    [
      'an unknown column',
      closeOn(User, { user: (user) => user.id, changed: ['pasword' as 'password'] }),
      'closeOn.User: waits for a change of "pasword", which is not a column. There are: id, username, password.',
    ],
    ['nobody', closeOn(User, {}), 'closeOn.User: names no user and no session. Give user or session.'],
    [
      'no entity',
      closeOn(Users, { user: () => 1 }),
      'closeOn.Users: is not an entity of the application. Name one, or a Signal.',
    ],
  ] as const) {
    it(`are refused at start for a rule of ${name}`, () => {
      expect(() => open([rule])).to.throw(message);
    });
  }

  it('are refused at start-up where they are to be checked again and no provider can load users', () => {
    const rules = [recheckOn(User, { user: (user) => user.id })];
    expect(() => open(rules, { users: undefined })).to.throw('createApp.users: is missing');
  });
});
