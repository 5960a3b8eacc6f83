import { EntityManager } from '@mikro-orm/core';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Connections,
  Consumer,
  createApp,
  demultiplexer,
  Groups,
  GroupsForConsumer,
  GroupsForSignal,
  InMemoryChannelLayer,
  IsAuthenticated,
  Observer,
  OnMessage,
  type Permission,
  Permissions,
  path,
  type Scope,
  Signal,
  type SignalEvent,
  type Subscription,
} from 'signalbox';
import { connect, type MemoryLogger, type TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { useDatabase } from '../support/database.js';
import { until } from '../support/deadline.js';
import { User } from '../support/entities.js';
import { revoked } from '../support/frames.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';

interface Note {
  readonly for: string;
  readonly text: string;
}

const noted = new Signal<Note>();
let gate = Promise.withResolvers<void>();

/** Lets a spec do something amid an action. */
async function pause(consumer: ApiConsumer, where: string): Promise<void> {
  consumer['sendJson'](where);
  await gate.promise;
}

@Consumer()
class AccountConsumer extends ApiConsumer {
  constructor(private readonly connections: Connections) {
    super();
  }

  @Action()
  async login({ scope, kwargs }: ActionContext) {
    const { user, session } = kwargs;
    const userId = String(user);
    if (kwargs['late']) await pause(this, 'before the login');
    await this.connections.login(
      scope,
      { id: userId, banned: kwargs['banned'] },
      { userId, ...(session !== undefined && { sessionId: String(session) }) },
      { key: session },
    );
    if (kwargs['group']) await this.addGroup(`user-${userId}`);
    if (kwargs['slow']) await pause(this, 'after the login');
    if (kwargs['fail']) throw new TypeError('After the login.');
    return 'welcome';
  }

  @Action({ detached: true })
  async loginBeside(context: ActionContext) {
    return this.login(context);
  }

  /** It awaits no login. */
  @Action()
  async forget({ scope }: ActionContext) {
    await pause(this, 'before the login');
    void this.connections.login(scope, { id: 'ann' }, { userId: 'ann' });
  }

  @Action()
  async joined() {
    return this.joinedGroups;
  }

  @Action()
  async lateWho({ scope }: ActionContext) {
    await pause(this, 'before the answer');
    return scope.identity?.userId ?? null;
  }

  @Action()
  async logout({ scope, kwargs }: ActionContext) {
    await this.connections.logout(scope);
    if (kwargs['fail']) throw new TypeError('After the logout.');
    return 'bye';
  }

  @Action()
  async who({ scope }: ActionContext) {
    return { user: scope.user ?? null, session: scope.session ?? null, identity: scope.identity ?? null };
  }
}

/** What those who are banned wait for before they are refused. */
let refusal: Promise<void>;

@injectable()
class IsWelcome implements Permission {
  async canConnect({ user }: Scope): Promise<boolean> {
    if (!(user as { banned?: boolean } | undefined)?.banned) return true;
    await refusal;
    return false;
  }
}

/** Who follows notes hears those for whoever they are; no permission knows the difference. */
@Permissions(IsWelcome)
@Consumer()
@Groups('everybody')
class NoteConsumer extends ApiConsumer {
  readonly users: unknown[] = [];

  constructor(private readonly connections: Connections) {
    super();
  }

  /** It does not await that it subscribes, and goes on as somebody else. */
  @Action()
  async followAndLeave(context: ActionContext) {
    const owner = context.scope.identity?.userId ?? 'nobody';
    void this.subscribe(this.onNote, { owner }, context);
    await this.connections.login(context.scope, { id: 'bob' }, { userId: 'bob' });
  }

  @Action()
  async loginAndFollow(context: ActionContext) {
    await this.connections.login(context.scope, { id: 'bob', banned: true }, { userId: 'bob' });
    await this.subscribe(this.onNote, { owner: 'bob' }, context);
  }

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    const owner = context.scope.identity?.userId ?? 'nobody';
    await this.addGroup(`user-${owner}`);
    if (context.kwargs['slow']) {
      this.sendJson('slow');
      await gate.promise;
    }
    await this.subscribe(this.onNote, { owner }, context);
  }

  @Action()
  async enter({ scope }: ActionContext) {
    const owner = scope.identity?.userId ?? 'nobody';
    await pause(this, 'before the group');
    await this.addGroup(`user-${owner}`);
  }

  @Action({ detached: true })
  async *read({ scope }: ActionContext) {
    const { userId } = scope.identity ?? {};
    yield `first of ${userId}`;
    await gate.promise;
    yield `second of ${userId}`;
  }

  @Action()
  async known() {
    return { users: this.users, groups: this.joinedGroups };
  }

  protected override async onUserChange(): Promise<void> {
    this.users.push(this.scope.identity?.userId ?? null);
  }

  @Observer(noted)
  async onNote(event: SignalEvent<Note>, subscription: Subscription<{ owner: string }>) {
    await subscription.send(event);
  }

  @GroupsForSignal('onNote')
  protected *groupsOfNote(note: Note) {
    yield note.for;
  }

  @GroupsForConsumer('onNote')
  protected *groupsOfOwner({ owner }: { owner: string }) {
    yield owner;
  }

  @OnMessage('shout')
  protected onShout({ text }: { readonly type: 'shout'; readonly text: string }) {
    this.sendJson({ shouted: text });
  }
}

@Permissions(IsAuthenticated)
@Consumer()
class PrivateConsumer extends ApiConsumer {
  @Action()
  async who({ scope }: ActionContext) {
    return scope.user;
  }
}

@Permissions(IsAuthenticated)
@Consumer()
class PrivateAccountConsumer extends AccountConsumer {}

/** Which nobody can leave while it is broken. */
class BreakingLayer extends InMemoryChannelLayer {
  isBroken = false;

  override async discard(group: string, channel: string): Promise<void> {
    if (this.isBroken) throw new Error('No connection to the layer.');
    await super.discard(group, channel);
  }
}

describe('A login in a socket', () => {
  const serve = useServer();
  let layer: BreakingLayer;
  let app: App;
  let logger: MemoryLogger;
  let clock: TestClock;

  beforeEach(() => {
    gate = Promise.withResolvers();
    refusal = Promise.resolve();
    const streams = { account: AccountConsumer, other: AccountConsumer, notes: NoteConsumer, private: PrivateConsumer };
    const routes = [path('/', demultiplexer(streams)), path('/private/', PrivateAccountConsumer)];
    layer = new BreakingLayer();
    ({ app, logger, clock } = serve(routes, { channelLayer: layer }));
  });

  const asAnn = (): Promise<TestConnection> =>
    connect(app, '/', { user: { id: 'ann' }, identity: { userId: 'ann', sessionId: 'of-ann' } });
  const login = (connection: TestConnection, user: string, rest: object = {}) =>
    connection.channel('account').request('login', { user, ...rest });

  it('shows the user to all streams at once, and opens those that had refused', async () => {
    await using ann = await connect(app, '/');
    expect(await ann.channel('private').request('who')).to.include({ response_status: 403 });
    expect(await login(ann, 'ann', { session: 'new' })).to.include({ response_status: 200, data: 'welcome' });
    expect((await ann.channel('private').request('who')).data).to.deep.equal({ id: 'ann' });
    expect((await ann.channel('account').request('who')).data).to.deep.equal({
      user: { id: 'ann' },
      session: { key: 'new' },
      identity: { userId: 'ann', sessionId: 'new' },
    });
  });

  it('keeps neither the session nor the identity of the user before', async () => {
    await using ann = await asAnn();
    await login(ann, 'bob');
    expect((await ann.channel('account').request('who')).data).to.deep.equal({
      user: { id: 'bob' },
      session: {},
      identity: { userId: 'bob' },
    });
  });

  it('refuses a session that the client had before, and changes nothing', async () => {
    await using eve = await connect(app, '/', { cookies: { session: 'planted' } });
    expect(await login(eve, 'ann', { session: 'planted' })).to.include({ response_status: 500 });
    expect((await eve.channel('account').request('who')).data).to.deep.equal({
      user: null,
      session: null,
      identity: null,
    });
    await using ann = await asAnn();
    expect(await login(ann, 'ann', { session: 'of-ann' })).to.include({ response_status: 500 });
    expect(logger.at('error')[0]?.fields['error']).to.have.property(
      'message',
      'Connections.login: was given the session that the client had before. ' +
        'Make a new session at every login, and delete the old one.',
    );
  });

  it('ends what the former user subscribed to, though every permission would go on', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    expect(await notes.request('follow', { request_id: 5 })).to.include({ response_status: 201 });
    noted.send({ for: 'ann', text: 'first' });
    expect(await notes.receive()).to.deep.include({ request_id: 5, data: { for: 'ann', text: 'first' } });
    await login(ann, 'bob');
    expect(await notes.receive()).to.deep.equal(revoked(5));
    noted.send({ for: 'ann', text: 'second' });
    await app.sendToGroup('user-ann', { type: 'shout', text: 'for ann' });
    await notes.expectSilence();
    expect(await notes.request('follow', { request_id: 6 })).to.include({ response_status: 201 });
    noted.send({ for: 'bob', text: 'third' });
    expect(await notes.receive()).to.deep.include({ request_id: 6, data: { for: 'bob', text: 'third' } });
  });

  it('takes no subscription of a request that began for the former user', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    notes.send({ action: 'follow', request_id: 5, slow: true });
    expect(await notes.receive()).to.equal('slow');
    await login(ann, 'bob');
    gate.resolve();
    expect(await notes.receive()).to.include({ response_status: 403, code: 'revoked', request_id: 5 });
    noted.send({ for: 'ann', text: 'second' });
    await notes.expectSilence();
  });

  it('leaves the groups of the former user, keeps those of the class, and tells the consumer', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    await notes.request('follow', { request_id: 5 });
    expect((await notes.request('known')).data).to.deep.equal({ users: [], groups: ['everybody', 'user-ann'] });
    await login(ann, 'bob');
    await notes.receive();
    expect((await notes.request('known')).data).to.deep.equal({ users: ['bob'], groups: ['everybody'] });
    await app.sendToGroup('everybody', { type: 'shout', text: 'hi' });
    expect(await notes.receive()).to.deep.equal({ shouted: 'hi' });
  });

  it('ends the stream whose groups cannot be left, for the next user would hear them', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    await notes.request('follow', { request_id: 5 });
    layer.isBroken = true;
    expect(await login(ann, 'bob')).to.include({ response_status: 200 });
    expect(await notes.receive()).to.deep.include({ request_id: 5, code: 'revoked' });
    expect(await notes.receive()).to.deep.include({
      errors: ['This stream was closed with code 1011 (The user could not be changed.).'],
      code: 'stream_closed',
    });
    await app.sendToGroup('user-ann', { type: 'shout', text: 'for ann' });
    await notes.expectSilence();
    expect(logger.at('error')[0]?.fields['error']).to.have.property('message', 'No connection to the layer.');
  });

  it('of the same user again ends no subscription', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    await notes.request('follow', { request_id: 5 });
    for (const [session, fail] of [
      ['new', false],
      ['newer', true],
    ] as const) {
      expect(await login(ann, 'ann', { session, fail })).to.include({ response_status: fail ? 500 : 200 });
      noted.send({ for: 'ann', text: session });
      expect(await notes.receive()).to.deep.include({ data: { for: 'ann', text: session } });
    }
  });

  it('asks the permissions to connect again, once it is answered', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    await notes.request('follow', { request_id: 5 });
    expect(await login(ann, 'bob', { banned: true })).to.include({ data: 'welcome' });
    expect(await notes.receive()).to.include({ action: 'revoked', request_id: 5 });
    expect(await notes.request('known')).to.include({ response_status: 403, code: 'permission_denied' });
    expect((await ann.channel('private').request('who')).data).to.deep.equal({ id: 'bob', banned: true });
  });

  it('has not happened where its request fails', async () => {
    await using ann = await connect(app, '/');
    expect(await login(ann, 'ann', { fail: true })).to.include({ response_status: 500 });
    expect((await ann.channel('account').request('who')).data).to.deep.equal({
      user: null,
      session: null,
      identity: null,
    });
    expect(await ann.channel('private').request('who')).to.include({ response_status: 403 });
  });

  describe('beside another one', () => {
    const nobody = { user: null, session: null, identity: null };
    const channels = (connection: TestConnection) =>
      [connection.channel('account'), connection.channel('other')] as const;

    /** Two logins that were asked for before the first of them is called, each of which fails once its gate is open. */
    async function loginTwice(connection: TestConnection): Promise<readonly [() => void, () => void]> {
      const [before, after] = [gates(), gates()];
      for (const [index, channel] of channels(connection).entries()) {
        gate = before[index as 0 | 1];
        channel.send({ action: 'login', request_id: 1, user: `user ${index}`, late: true, slow: true, fail: true });
        expect(await channel.receive()).to.equal('before the login');
      }
      for (const [index, channel] of channels(connection).entries()) {
        gate = after[index as 0 | 1];
        before[index as 0 | 1].resolve();
        expect(await channel.receive()).to.equal('after the login');
      }
      return [after[0].resolve, after[1].resolve];
    }

    const gates = () => [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;

    it('has not happened where both fail, whichever fails first', async () => {
      for (const order of [
        [0, 1],
        [1, 0],
      ] as const) {
        await using eve = await connect(app, '/');
        const ends = await loginTwice(eve);
        for (const index of order) {
          ends[index]();
          expect(await channels(eve)[index].receive()).to.include({ response_status: 500 });
        }
        expect((await eve.channel('account').request('who')).data).to.deep.equal(nobody);
      }
    });

    it('stays where the earlier one fails after it', async () => {
      await using ann = await connect(app, '/');
      const [account, other] = channels(ann);
      const [late, slow] = gates();
      gate = late;
      other.send({ action: 'login', request_id: 1, user: 'ann', late: true });
      await other.receive();
      gate = slow;
      account.send({ action: 'login', request_id: 1, user: 'eve', slow: true, fail: true });
      await account.receive();
      late.resolve();
      expect(await other.receive()).to.include({ response_status: 200 });
      slow.resolve();
      expect(await account.receive()).to.include({ response_status: 500 });
      expect((await account.request('who')).data).to.deep.include({ identity: { userId: 'ann' } });
    });
  });

  it('is believed by other streams when its request has succeeded, and not before', async () => {
    for (const fail of [true, false]) {
      gate = Promise.withResolvers();
      await using eve = await connect(app, '/');
      const [account, other] = [eve.channel('account'), eve.channel('other')];
      account.send({ action: 'login', request_id: 1, user: 'ann', slow: true, fail });
      expect(await account.receive()).to.equal('after the login');
      const who = other.request('who');
      await app.idle();
      expect(other.frames).to.deep.equal([]);
      gate.resolve();
      expect((await who).data).to.deep.include({ identity: fail ? null : { userId: 'ann' } });
    }
  });

  it('leaves no error in the log where its client leaves before a stream has begun that waits for it', async () => {
    const eve = await connect(app, '/');
    const [account, notes] = [eve.channel('account'), eve.channel('notes')];
    account.send({ action: 'login', request_id: 1, user: 'ann', slow: true });
    expect(await account.receive()).to.equal('after the login');
    notes.send({ action: 'known', request_id: 1 });
    await app.idle();
    eve.close();
    await eve.closed;
    gate.resolve();
    await eve.ended;
    expect(logger.at('error')).to.deep.equal([]);
  });

  for (const outcome of ['fails', 'succeeds'] as const) {
    const isFailing = outcome === 'fails';

    it(`is seen by its own request and by no other until that ${outcome}`, async () => {
      await using eve = await connect(app, '/');
      const [account, other] = [eve.channel('account'), eve.channel('other')];
      const early = gate;
      other.send({ action: 'late_who', request_id: 1 });
      expect(await other.receive()).to.equal('before the answer');
      other.send({ action: 'late_who', request_id: 2 });
      gate = Promise.withResolvers();
      account.send({ action: 'login', request_id: 1, user: 'ann', slow: true, fail: isFailing });
      expect(await account.receive()).to.equal('after the login');
      early.resolve();
      expect(await other.reply(1)).to.include({ data: null });
      await app.idle();
      expect(other.frames).to.have.length(2);
      gate.resolve();
      expect(await other.receive()).to.equal('before the answer');
      expect(await other.reply(2)).to.include({ data: isFailing ? null : 'ann' });
    });

    it(`in a detached request holds up the others of its stream until that ${outcome}`, async () => {
      await using eve = await connect(app, '/');
      const account = eve.channel('account');
      account.send({ action: 'login_beside', request_id: 1, user: 'ann', slow: true, fail: isFailing });
      expect(await account.receive()).to.equal('after the login');
      const who = account.request('who');
      await app.idle();
      expect(account.frames).to.deep.equal(['after the login']);
      gate.resolve();
      expect((await who).data).to.deep.include({ identity: isFailing ? null : { userId: 'ann' } });
    });

    it(`tells consumers of the user that there is, once it ${outcome}`, async () => {
      await using ann = await asAnn();
      const notes = ann.channel('notes');
      await notes.request('known');
      ann.channel('account').send({ action: 'login', request_id: 1, user: 'bob', slow: true, fail: isFailing });
      expect(await ann.channel('account').receive()).to.equal('after the login');
      await app.idle();
      gate.resolve();
      expect((await notes.request('known')).data).to.deep.include({ users: [isFailing ? 'ann' : 'bob'] });
    });
  }

  it('that fails leaves the groups that its request has joined', async () => {
    await using eve = await connect(app, '/');
    expect(await login(eve, 'ann', { group: true, fail: true })).to.include({ response_status: 500 });
    expect(await eve.channel('account').request('joined')).to.deep.include({ data: [] });
  });

  it('drops the messages that waited for the former user, and says so in the log', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    await notes.request('follow', { request_id: 4 });
    notes.send({ action: 'enter', request_id: 5 });
    expect(await notes.receive()).to.equal('before the group');
    await app.sendToGroup('user-ann', { type: 'shout', text: 'for ann' });
    await login(ann, 'bob');
    expect(await notes.reply(4)).to.include({ action: 'revoked' });
    gate.resolve();
    expect(await notes.reply(5)).to.include({ response_status: 403, code: 'revoked' });
    await notes.expectSilence();
    expect(logger.at('debug').map(({ message, fields }) => ({ message, ...fields }))).to.deep.include({
      message: 'A message was dropped: the user whom it came for has left.',
      consumer: 'NoteConsumer',
      type: 'shout',
    });
  });

  it('fails where its request is still subscribing as the former user', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    expect(await notes.request('follow_and_leave')).to.include({ response_status: 403, code: 'revoked' });
    noted.send({ for: 'ann', text: 'first' });
    await notes.expectSilence();
  });

  it('has events wait until the permissions to connect have answered', async () => {
    const refused = Promise.withResolvers<void>();
    refusal = refused.promise;
    await using eve = await connect(app, '/');
    await using bob = await connect(app, '/', { user: { id: 'bob' }, identity: { userId: 'bob' } });
    const notes = eve.channel('notes');
    expect(await notes.request('login_and_follow', { request_id: 5 })).to.include({ response_status: 200 });
    await bob.channel('notes').request('follow', { request_id: 6 });
    noted.send({ for: 'bob', text: 'first' });
    expect(await bob.channel('notes').receive()).to.include({ request_id: 6 });
    refused.resolve();
    expect(await notes.receive()).to.include({ action: 'revoked', request_id: 5 });
    await notes.expectSilence();
  });

  it('that is forgotten by a request which has ended does no harm, and stands in the log', async () => {
    await using eve = await connect(app, '/');
    const account = eve.channel('account');
    account.send({ action: 'forget', request_id: 1 });
    expect(await account.receive()).to.equal('before the login');
    await account.request('cancel', { target: 1 });
    expect(await account.reply(1)).to.include({ response_status: 499 });
    gate.resolve();
    await until(
      () => logger.at('debug').some(({ message }) => message === 'A login or logout was refused.'),
      'A line in the log',
    );
  });

  it('of a request that was cancelled has not happened, also where its user is disconnected meanwhile', async () => {
    await using eve = await connect(app, '/');
    const account = eve.channel('account');
    account.send({ action: 'login', request_id: 1, user: 'ann', late: true });
    expect(await account.receive()).to.equal('before the login');
    await account.request('cancel', { target: 1 });
    expect(await account.reply(1)).to.include({ response_status: 499 });
    await app.disconnectUser('ann');
    gate.resolve();
    await account.request('who');
    expect((await account.request('who')).data).to.deep.include({ identity: null });
  });

  it('of a request that ran out of time has not happened', async () => {
    await using eve = await connect(app, '/');
    const account = eve.channel('account');
    account.send({ action: 'login', request_id: 1, user: 'ann', late: true });
    expect(await account.receive()).to.equal('before the login');
    clock.advance(15_000);
    expect(await account.reply(1)).to.include({ response_status: 504 });
    gate.resolve();
    await account.request('who');
    expect((await account.request('who')).data).to.deep.include({ identity: null });
  });

  it('lets no request of the former user join a group afterwards', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    notes.send({ action: 'enter', request_id: 5 });
    expect(await notes.receive()).to.equal('before the group');
    await ann.channel('account').request('logout');
    gate.resolve();
    expect(await notes.reply(5)).to.include({ response_status: 403, code: 'revoked' });
    await app.sendToGroup('user-ann', { type: 'shout', text: 'for ann' });
    await notes.expectSilence();
  });

  describe('of a user who is disconnected meanwhile', () => {
    it('is refused with the reason', async () => {
      await using eve = await connect(app, '/');
      const account = eve.channel('account');
      account.send({ action: 'login', request_id: 1, user: 'eve', late: true });
      expect(await account.receive()).to.equal('before the login');
      await app.disconnectUser('ann');
      await app.disconnectUser('eve', 'You are banned.', 4403);
      gate.resolve();
      expect(await account.receive()).to.deep.include({ response_status: 403, errors: ['You are banned.'] });
      expect((await account.request('who')).data).to.deep.include({ identity: null });
      expect(await login(eve, 'eve')).to.include({ response_status: 200 });
    });

    it('closes where it fails, and the former user is the one', async () => {
      await using ann = await asAnn();
      const account = ann.channel('account');
      account.send({ action: 'login', request_id: 1, user: 'bob', slow: true, fail: true });
      expect(await account.receive()).to.equal('after the login');
      await app.disconnectUser('ann');
      gate.resolve();
      expect(await ann.closed).to.equal(4401);
    });
  });

  it('aborts what the former user has detached', async () => {
    await using ann = await asAnn();
    const notes = ann.channel('notes');
    notes.send({ action: 'read', request_id: 5 });
    expect(await notes.receive()).to.deep.include({ response_status: 206, data: 'first of ann' });
    await login(ann, 'bob');
    gate.resolve();
    expect(await notes.receive()).to.deep.include({
      response_status: 403,
      code: 'revoked',
      errors: ['The user who asked for this is not logged in any more.'],
      request_id: 5,
    });
    await notes.expectSilence();
  });

  it('is found by what disconnects the user from then on, and by nothing that disconnects the former one', async () => {
    await using ann = await asAnn();
    await login(ann, 'bob');
    await app.disconnectUser('ann');
    await app.disconnectSession('of-ann');
    expect(await ann.channel('account').request('who')).to.include({ response_status: 200 });
    await app.disconnectUser('bob');
    expect(await ann.closed).to.equal(4401);
  });

  describe('into a user with 20 connections', () => {
    const annTimes = (count: number): Promise<TestConnection[]> => Promise.all(Array.from({ length: count }, asAnn));

    it('is refused with 429, and the connection stays whose it was', async () => {
      await annTimes(20);
      await using bob = await connect(app, '/', { user: { id: 'bob' }, identity: { userId: 'bob' } });
      expect(await login(bob, 'ann')).to.deep.equal({
        errors: ['There may be 20 connections of one user.'],
        data: { retry_after_ms: 10_000 },
        action: 'login',
        response_status: 429,
        request_id: 'test-1',
        code: 'throttled',
      });
      expect((await bob.channel('account').request('who')).data).to.deep.include({ identity: { userId: 'bob' } });
    });

    it('is granted once one of them has logged out, or in as another user', async () => {
      const [first, second] = await annTimes(20);
      await first?.channel('account').request('logout');
      await using bob = await connect(app, '/');
      expect(await login(bob, 'ann')).to.include({ response_status: 200 });
      await using eve = await connect(app, '/');
      expect(await login(eve, 'ann')).to.include({ response_status: 429 });
      if (second) await login(second, 'bob');
      expect(await login(eve, 'ann')).to.include({ response_status: 200 });
    });

    it('gives no rights once it has failed', async () => {
      await annTimes(19);
      await using bob = await connect(app, '/');
      expect(await login(bob, 'ann', { fail: true })).to.include({ response_status: 500 });
      await annTimes(1);
      expect(await login(bob, 'ann')).to.include({ response_status: 429 });
    });
  });

  describe('and a logout', () => {
    it('takes the user from all streams, and refuses those that need one', async () => {
      await using ann = await asAnn();
      expect((await ann.channel('private').request('who')).data).to.deep.equal({ id: 'ann' });
      expect(await ann.channel('account').request('logout')).to.include({ data: 'bye' });
      expect(await ann.channel('private').request('who')).to.include({ response_status: 403 });
      expect((await ann.channel('account').request('who')).data).to.deep.equal({
        user: null,
        session: null,
        identity: null,
      });
    });

    it('answers, and closes with 4401 where nothing is open to a client without a user', async () => {
      await using ann = await connect(app, '/private/', { user: { id: 'ann' }, identity: { userId: 'ann' } });
      expect(await ann.request('logout')).to.include({ response_status: 200, data: 'bye' });
      expect(await ann.closed).to.equal(4401);
    });

    it('has not happened where its request fails', async () => {
      await using ann = await connect(app, '/private/', { user: { id: 'ann' }, identity: { userId: 'ann' } });
      expect(await ann.request('logout', { fail: true })).to.include({ response_status: 500 });
      expect((await ann.request('who')).data).to.deep.include({ user: { id: 'ann' } });
    });
  });
});

let seen: number[] = [];

@injectable()
class CountsUsers implements Permission {
  constructor(private readonly em: EntityManager) {}

  async canConnect(): Promise<boolean> {
    seen.push(await this.em.count(User));
    return true;
  }
}

/** Signs up and logs in, in one transaction. */
@Permissions(CountsUsers)
@Consumer()
class SignUpConsumer extends ApiConsumer {
  constructor(
    private readonly em: EntityManager,
    private readonly connections: Connections,
  ) {
    super();
  }

  @Action({ atomic: true })
  async signUp({ scope, kwargs }: ActionContext) {
    const user = this.em.create(User, { username: String(kwargs['name']), password: 'x' });
    await this.em.flush();
    await this.connections.login(scope, user, { userId: String(user.id) });
    if (kwargs['twice']) this.em.create(User, { username: user.username, password: 'x' });
  }

  @Action()
  async who({ scope }: ActionContext) {
    return (scope.user as User | undefined)?.username ?? null;
  }

  protected override async onUserChange(): Promise<void> {
    this.sendJson({ users: await this.em.count(User), for: (this.scope.user as User | undefined)?.username ?? null });
  }
}

describe('A login in a transaction', () => {
  const database = useDatabase('login_transaction');

  it('counts once it is committed, and what is asked then sees what was committed', async () => {
    seen = [];
    const { container, logger } = testProviders();
    const app = createApp({ orm: database.orm, container, routes: [path('/', SignUpConsumer)] });
    await using ann = await connect(app, '/');
    expect(await ann.request('sign_up', { name: 'ann' })).to.include({ response_status: 200 });
    expect(await ann.receive()).to.deep.equal({ users: 1, for: 'ann' });
    expect((await ann.request('who')).data).to.equal('ann');
    expect(seen).to.deep.equal([0, 1]);
    expect(await ann.request('sign_up', { name: 'bob', twice: true })).to.include({ response_status: 409 });
    expect(await ann.receive()).to.deep.equal({ users: 1, for: 'ann' });
    expect((await ann.request('who')).data).to.equal('ann');
    expect(seen).to.deep.equal([0, 1, 1]);
    expect(logger.at('error')).to.deep.equal([]);
    await app.close();
  });
});
