import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  type AppOptions,
  Connections,
  Consumer,
  demultiplexer,
  InMemoryChannelLayer,
  NotAuthenticated,
  Observer,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  type Route,
  type Scope,
  type ScopeMiddleware,
  type ScopeUser,
  Signal,
  type SignalEvent,
  type Subscription,
  type UserStore,
} from 'signalbox';
import { connect, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useServer } from '../support/serving.js';
import { refusalOf, SocketClient } from '../support/sockets.js';

let middlewareReached = Promise.withResolvers<void>();
let middlewareLeft = Promise.withResolvers<void>();

@Consumer()
class WhoConsumer extends ApiConsumer {
  constructor(private readonly connections: Connections) {
    super();
  }

  @Action()
  async who({ scope }: ActionContext) {
    return scope.user ?? null;
  }

  @Action()
  async wait({ signal }: ActionContext) {
    this.sendJson('waiting');
    await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  }

  @Action()
  async joinGroup({ kwargs }: ActionContext) {
    await this.addGroup(String(kwargs['group']));
  }

  @Action()
  async kick({ kwargs }: ActionContext) {
    await this.connections.disconnectUser(Number(kwargs['user']));
    return 'kicked';
  }
}

/** Logs in by the query, and takes as long as the spec wishes. */
@injectable()
class SlowLogin implements ScopeMiddleware {
  async apply(scope: Scope): Promise<void> {
    const { query } = scope;
    if (query.has('slow')) {
      middlewareReached.resolve();
      await middlewareLeft.promise;
    }
    const userId = query.get('user');
    if (userId === null) return;
    scope.user = { id: Number(userId), role: 'member' };
    scope.identity = { userId, sessionId: query.get('session') ?? `session-of-${userId}` };
  }
}

let roles = new Map<string, string>();

@injectable()
class Users implements UserStore {
  async find(id: string): Promise<ScopeUser | undefined> {
    if (roles.get(id) === 'silent') return new Promise(() => {});
    if (roles.get(id) === 'unreachable') throw new Error('The database is gone.');
    return roles.has(id) ? { id: Number(id), role: roles.get(id) } : undefined;
  }
}

const roleOf = ({ user }: Scope): unknown => (user as { role?: string } | undefined)?.role;

@injectable()
class IsMember implements Permission {
  canConnect(scope: Scope): boolean {
    return roleOf(scope) !== 'stranger';
  }
}

@injectable()
class IsAdmin implements Permission {
  canConnect(scope: Scope): boolean {
    return roleOf(scope) === 'admin';
  }
}

@Permissions(IsMember)
@Consumer()
class MemberConsumer extends WhoConsumer {}

/** The role of the user when each alarm was delivered. */
let heardAs: unknown[] = [];

const raised = new Signal<{ readonly alarm: string }>();

@Consumer()
class AlarmConsumer extends WhoConsumer {
  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onAlarm, {}, context);
  }

  @Observer(raised)
  async onAlarm(event: SignalEvent<{ readonly alarm: string }>, subscription: Subscription<object>) {
    heardAs.push(roleOf(this.scope));
    await subscription.send(event);
  }
}

@Permissions(IsAdmin)
@Consumer()
class AdminConsumer extends AlarmConsumer {}

describe('Connections', () => {
  const serve = useServer();

  beforeEach(() => {
    middlewareReached = Promise.withResolvers();
    middlewareLeft = Promise.withResolvers();
    roles = new Map();
    heardAs = [];
  });

  function open(options: Partial<AppOptions<readonly Route[]>> = {}) {
    const routes = [
      path('/', WhoConsumer),
      path('/members/', MemberConsumer),
      path('/streams/', demultiplexer({ members: MemberConsumer, admins: AdminConsumer, alarms: AlarmConsumer })),
    ];
    return serve(routes, { middleware: [SlowLogin], ...options });
  }

  const isOpen = async (connection: TestConnection): Promise<boolean> =>
    (await connection.request('who')).response_status === 200;

  describe('of a user', () => {
    it('close with 4401 and a sentence, all of them and no others', async () => {
      const { app } = open();
      const { port } = await app.listen({ host: '127.0.0.1' });
      const ann = await SocketClient.open(`ws://127.0.0.1:${port}/?user=1`);
      const annToo = await SocketClient.open(`ws://127.0.0.1:${port}/?user=1`);
      await using bob = await SocketClient.open(`ws://127.0.0.1:${port}/?user=11`);
      await using nobody = await SocketClient.open(`ws://127.0.0.1:${port}/`);
      await app.disconnectUser('1');
      expect([await ann.closed, await annToo.closed]).to.deep.equal([4401, 4401]);
      expect(ann.reason).to.equal('You were logged out.');
      for (const other of [bob, nobody]) {
        other.send({ action: 'who', request_id: 1 });
        expect(await other.receive()).to.include({ response_status: 200 });
      }
    });

    it('close with 4403 and a reason where that is said', async () => {
      const { app } = open();
      const { port } = await app.listen({ host: '127.0.0.1' });
      const ann = await SocketClient.open(`ws://127.0.0.1:${port}/?user=1`);
      await app.disconnectUser(1, 'You are banned: é.', 4403);
      expect(await ann.closed).to.equal(4403);
      expect(ann.reason).to.equal('You are banned: é.');
    });

    for (const id of [1, '1', 1n]) {
      it(`are found by ${typeof id}s as well`, async () => {
        const { app } = open();
        await using ann = await connect(app, '/?user=1');
        await app.disconnectUser(id);
        expect(await ann.closed).to.equal(4401);
      });
    }

    it('stay where the user is unknown, or was disconnected before', async () => {
      const { app } = open();
      await using ann = await connect(app, '/?user=1');
      for (const id of ['', 'undefined', 'null', '01', ' 1', '__proto__', 2]) await app.disconnectUser(id);
      expect(await isOpen(ann)).to.equal(true);
      await app.disconnectUser(1);
      await app.disconnectUser(1);
      await app.disconnectSession('session-of-1');
      expect(await ann.closed).to.equal(4401);
    });

    it('are told nothing for a reason that fits into no frame', async () => {
      const { app } = open();
      await using ann = await connect(app, '/?user=1');
      const error = await app.disconnectUser(1, 'é'.repeat(62)).catch((thrown: unknown) => thrown);
      expect(error)
        .to.be.instanceOf(RangeError)
        .with.property('message', 'The reason of a close is at most 123 bytes long.');
      expect(await isOpen(ann)).to.equal(true);
      await app.disconnectUser(1, 'x'.repeat(123));
      expect(await ann.closed).to.equal(4401);
    });

    it('answer what runs before they close', async () => {
      const { app } = open();
      const { port } = await app.listen({ host: '127.0.0.1' });
      const ann = await SocketClient.open(`ws://127.0.0.1:${port}/?user=1`);
      ann.send({ action: 'wait', request_id: 7 });
      await ann.receive();
      await app.disconnectUser(1, 'You are banned.', 4403);
      expect(await ann.receive()).to.deep.equal({
        errors: ['You are banned.'],
        data: null,
        action: 'wait',
        response_status: 403,
        request_id: 7,
        code: 'permission_denied',
      });
      expect(await ann.closed).to.equal(4403);
    });

    it('may be closed by an action of that user', async () => {
      const { app } = open();
      await using ann = await connect(app, '/?user=1');
      expect(await ann.request('kick', { user: 1 })).to.include({ response_status: 401 });
      expect(await ann.closed).to.equal(4401);
    });
  });

  it('of a session close, and those of another session of the user stay', async () => {
    const { app } = open();
    await using phone = await connect(app, '/?user=1&session=phone');
    await using laptop = await connect(app, '/?user=1&session=laptop');
    await app.disconnectSession('phone');
    expect(await phone.closed).to.equal(4401);
    expect(await isOpen(laptop)).to.equal(true);
  });

  describe('whose handshake is under way', () => {
    const during = async (app: App, disconnect: () => Promise<void>): Promise<unknown> => {
      const connecting = connect(app, '/?user=1&slow=1').catch((error: unknown) => error);
      await middlewareReached.promise;
      await disconnect();
      middlewareLeft.resolve();
      return connecting;
    };

    it('are refused with 401 or 403', async () => {
      const { app } = open();
      expect(await during(app, () => app.disconnectUser(1))).to.be.instanceOf(NotAuthenticated);
      middlewareReached = Promise.withResolvers();
      const banned = await during(app, () => app.disconnectSession('session-of-1', 'You are banned.', 4403));
      expect(banned).to.be.instanceOf(PermissionDenied).with.property('message', 'You are banned.');
    });

    it('are refused before the upgrade', async () => {
      const { app } = open();
      const { port } = await app.listen({ host: '127.0.0.1' });
      const refusal = refusalOf(`ws://127.0.0.1:${port}/?user=1&slow=1`);
      await middlewareReached.promise;
      await app.disconnectUser(1);
      middlewareLeft.resolve();
      expect(await refusal).to.deep.equal({ status: 401, sentence: 'You were logged out.' });
    });

    it('are granted to another user, and where the handshake began afterwards', async () => {
      const { app } = open();
      const other = await during(app, () => app.disconnectUser(2));
      expect(await isOpen(other as TestConnection)).to.equal(true);
      await app.disconnectUser(1);
      await using ann = await connect(app, '/?user=1');
      expect(await isOpen(ann)).to.equal(true);
    });
  });

  it('have the user of the latest check, in whichever order the answers come', async () => {
    class SlowUsers implements UserStore {
      static readonly asked: PromiseWithResolvers<ScopeUser>[] = [];

      find(): Promise<ScopeUser> {
        const answer = Promise.withResolvers<ScopeUser>();
        SlowUsers.asked.push(answer);
        return answer.promise;
      }
    }
    const { app, container } = open({ users: SlowUsers });
    await using ann = await connect(app, '/?user=1');
    const connections = container.resolve(Connections);
    await connections.recheckUser(1);
    await connections.recheckUser(1);
    const [earlier, later] = SlowUsers.asked;
    later?.resolve({ id: 1, role: 'member' });
    earlier?.resolve({ id: 1, role: 'admin' });
    await app.idle();
    expect((await ann.request('who')).data).to.deep.equal({ id: 1, role: 'member' });
  });

  it('are out of reach of the groups of applications', async () => {
    const channelLayer = new InMemoryChannelLayer();
    const { app } = open({ channelLayer });
    await using ann = await connect(app, '/?user=1');
    const order = { kind: 'disconnect', whose: { user: '1' }, reason: '', code: 4401 };
    const message = { type: 'signalbox:order', order };
    const send = (async () => app.sendToGroup('signalbox:orders', message))().catch((error: unknown) => error);
    const sentence = 'The names of groups that begin with "signalbox:" are the framework\'s own.';
    expect(await send)
      .to.be.instanceOf(RangeError)
      .with.property('message', sentence);
    expect(await ann.request('join_group', { group: 'signalbox:orders' })).to.include({ response_status: 500 });
    await channelLayer.sendToGroup('orders', message);
    expect(await isOpen(ann)).to.equal(true);
  });

  /** With a store that finds a user when the spec has one. */
  function openSlowly() {
    const found = Promise.withResolvers<ScopeUser>();
    class SlowUsers implements UserStore {
      find(): Promise<ScopeUser> {
        return found.promise;
      }
    }
    return { ...open({ users: SlowUsers }), found };
  }

  /** Ann follows the alarms before bob, so that her delivery has had its turn when bob has his. */
  async function expectHeldBack(app: App, ann: TestConnection, found: PromiseWithResolvers<ScopeUser>): Promise<void> {
    await using bob = await connect(app, '/streams/?user=2');
    for (const one of [ann, bob]) await one.channel('alarms').request('follow');
    raised.send({ alarm: 'fire' });
    await bob.channel('alarms').receive();
    expect(heardAs).to.deep.equal(['member']);
    found.resolve({ id: 1, role: 'guest' });
    await ann.channel('alarms').receive();
    expect(heardAs).to.deep.equal(['member', 'guest']);
  }

  it('hold back the events of a stream that is first used while they are checked again', async () => {
    const { app, container, found } = openSlowly();
    await using ann = await connect(app, '/streams/?user=1');
    await container.resolve(Connections).recheckUser(1);
    await expectHeldBack(app, ann, found);
  });

  it('hold back the events of their consumers if a check came during the handshake', async () => {
    const { app, container, found } = openSlowly();
    const connecting = connect(app, '/streams/?user=1&slow=1');
    await middlewareReached.promise;
    await container.resolve(Connections).recheckUser(1);
    await app.idle();
    middlewareLeft.resolve();
    await using ann = await connecting;
    await expectHeldBack(app, ann, found);
  });

  describe('that are checked again', () => {
    const recheck = (container: ReturnType<typeof open>['container'], id: number) =>
      container.resolve(Connections).recheckUser(id);

    it('see the user as the store has it now', async () => {
      const { app, container } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      roles.set('1', 'admin');
      await recheck(container, 1);
      await settled();
      expect((await ann.request('who')).data).to.deep.equal({ id: 1, role: 'admin' });
    });

    it('close with 4403 where every stream refuses', async () => {
      const { app, container } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      roles.set('1', 'stranger');
      await recheck(container, 1);
      expect(await ann.closed).to.equal(4403);
    });

    it('close with 4401 where the user is gone', async () => {
      const { app, container } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      await recheck(container, 1);
      expect(await ann.closed).to.equal(4401);
    });

    it('close with 1011 where the check fails, which is logged', async () => {
      const { app, container, logger } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      roles.set('1', 'unreachable');
      await recheck(container, 1);
      expect(await ann.closed).to.equal(1011);
      expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
        'A connection could not be checked again.',
      ]);
    });

    it('close with 1011 where the store has no answer within handshakeTimeLimit, which is logged and counted', async () => {
      const { app, container, logger, clock, counters } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      await using bob = await connect(app, '/members/?user=2');
      roles.set('1', 'silent');
      await recheck(container, 1);
      ann.send({ action: 'wait', request_id: 1 });
      expect(await ann.receive()).to.equal('waiting');
      clock.advance(9_999);
      await settled();
      await ann.expectSilence();
      clock.advance(1);
      expect(await ann.reply(1)).to.deep.equal({
        errors: ['Your rights could not be checked in time.'],
        data: null,
        action: 'wait',
        response_status: 503,
        request_id: 1,
        code: 'handshake_timed_out',
      });
      expect(await ann.closed).to.equal(1011);
      expect(await isOpen(bob)).to.equal(true);
      expect(logger.at('error').map(({ message }) => message)).to.deep.equal([
        'A connection could not be checked again.',
      ]);
      expect(counters.count('signalbox.unchecked_connections', { asked: 'user' })).to.equal(1);
    });

    it('stay where a later check was answered, whatever becomes of an earlier one', async () => {
      const { app, container, clock, logger } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      roles.set('1', 'silent');
      await recheck(container, 1);
      roles.set('1', 'admin');
      await recheck(container, 1);
      await settled();
      clock.advance(10_000);
      await settled();
      expect((await ann.request('who')).data).to.deep.equal({ id: 1, role: 'admin' });
      expect(logger.at('error')).to.deep.equal([]);
    });

    it('close although a later check is under way that has no answer either', async () => {
      const { app, container, clock } = open({ users: Users });
      await using ann = await connect(app, '/members/?user=1');
      roles.set('1', 'silent');
      await recheck(container, 1);
      clock.advance(9_000);
      await recheck(container, 1);
      clock.advance(1_000);
      expect(await ann.closed).to.equal(1011);
    });

    it('refuse single streams, and grant others', async () => {
      const { app, container } = open({ users: Users });
      await using ann = await connect(app, '/streams/?user=1');
      expect(await ann.channel('admins').request('who')).to.include({ response_status: 403 });
      roles.set('1', 'admin');
      await recheck(container, 1);
      await settled();
      expect(await ann.channel('admins').request('who')).to.include({ response_status: 200 });
      roles.set('1', 'member');
      await recheck(container, 1);
      await settled();
      expect(await ann.channel('admins').request('who')).to.include({
        response_status: 403,
        code: 'permission_denied',
      });
      expect(await ann.channel('members').request('who')).to.include({ response_status: 200 });
    });

    it('tell a stream that is refused by now that its subscriptions have ended, and nothing after that', async () => {
      const { app, container } = open({ users: Users });
      roles.set('1', 'admin');
      await using ann = await connect(app, '/streams/?user=1');
      const admins = ann.channel('admins');
      await recheck(container, 1);
      await settled();
      expect(await admins.request('follow', { request_id: 7 })).to.include({ response_status: 201 });
      roles.set('1', 'member');
      await recheck(container, 1);
      await settled();
      raised.send({ alarm: 'fire' });
      expect(await admins.receive()).to.include({ action: 'revoked', request_id: 7, response_status: 403 });
      await admins.expectSilence();
    });

    it('need a store of users', async () => {
      const { app, container } = open();
      await app.start();
      const error = await recheck(container, 1).catch((thrown: unknown) => thrown);
      expect(error).to.have.property(
        'message',
        'createApp.users: is missing, so users cannot be reloaded and checked again. ' +
          'Name a provider that implements UserStore: createApp({ users: Users }).',
      );
    });
  });
});

/** Nothing here waits for more than promises. */
async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
