import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type AppApi,
  Connections,
  Consumer,
  createApp,
  demultiplexer,
  GroupsForConsumer,
  GroupsForSignal,
  type ModelEvent,
  ModelObserver,
  ModelSerializer,
  type Permission,
  PermissionDenied,
  Permissions,
  path,
  type Rights,
  type Subscription,
} from 'signalbox';
import { type Client, createClient, hear } from 'signalbox/client';
import { connect, type MemoryLogger, type TestClock } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { SubscriptionIndex } from '#signalbox/observers/subscriptions.js';
import { useDatabase } from '../support/database.js';
import { within } from '../support/deadline.js';
import { Message, Room } from '../support/entities.js';
import { event, reply, revoked } from '../support/frames.js';
import { lastingPort } from '../support/ports.js';
import { testProviders } from '../support/providers.js';
import { MessageObserver } from '../support/rooms.js';

/** Resolved once the lobby has subscribed. */
let followed = Promise.withResolvers<void>();

/** Follows the room of its user, or that of guests, from the beginning. */
@Consumer({ eager: true })
class LobbyConsumer extends MessageObserver {
  override readonly requestIds = { lobby: 'onMessage' } as const;

  constructor(private readonly connections: Connections) {
    super();
  }

  protected override async onConnect() {
    await this.follow();
  }

  protected override async onUserChange() {
    await this.follow();
  }

  private async follow() {
    const room = this.scope.identity ? 2 : 1;
    await this.subscribe(this.onMessage, { room }, { requestId: 'lobby' });
    followed.resolve();
  }

  @Action()
  async login({ scope }: ActionContext) {
    await this.connections.login(scope, { id: 7 }, { userId: '7' });
  }

  @Action()
  async logout({ scope }: ActionContext) {
    await this.connections.logout(scope);
  }

  @Action()
  async rest() {
    await this.unsubscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' });
  }

  @Action()
  async who() {
    return this.scope.identity?.userId ?? null;
  }
}

/** The requests that the permission was asked about. */
let asked: object[] = [];
let mayFollow = true;

@injectable()
class MayFollow implements Permission {
  hasPermission({ action, kwargs, requestId, isDelivery }: ActionContext) {
    asked.push({ action, kwargs, requestId, isDelivery });
    return mayFollow;
  }
}

@Consumer()
@Permissions(MayFollow)
class GuardedConsumer extends MessageObserver {
  protected override async onConnect() {
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'guarded' });
  }
}

/** Subscribes, and then refuses its client. */
@Consumer()
class RefusingConsumer extends MessageObserver {
  protected override async onConnect() {
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' });
    throw new PermissionDenied('Not today.');
  }

  @Action()
  async hello() {}
}

/** Settles the subscription of a consumer whose hook has run out of time. */
let hesitated = Promise.withResolvers<void>();
let refused = Promise.withResolvers<unknown>();

@Consumer()
class HesitatingConsumer extends MessageObserver {
  protected override async onConnect() {
    await hesitated.promise;
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: 'lobby' }).catch(refused.resolve);
  }

  @Action()
  async hello() {}
}

@injectable()
class UnknownRights implements Rights<'reader'> {
  rightsOf(): 'reader' {
    throw new Error('The rights are not known.');
  }
}

@injectable()
class GuardedText extends ModelSerializer(Message, {
  fields: ['id', 'text'],
  rights: { by: UnknownRights, fields: { text: 'reader' } },
}) {}

/** Goes on although its subscription has failed. */
@Consumer()
class UndauntedConsumer extends ApiConsumer {
  @ModelObserver(() => Message, { serializer: GuardedText })
  async onMessage(event: ModelEvent<GuardedText>, subscription: Subscription<object>) {
    await subscription.send(event);
  }
  @GroupsForSignal('onMessage')
  protected *groupsOfMessage() {
    yield 'all';
  }
  @GroupsForConsumer('onMessage')
  protected *groupsOfAll() {
    yield 'all';
  }

  protected override async onConnect() {
    await this.subscribe(this.onMessage, {}, { requestId: 'all' }).catch(refused.resolve);
  }

  @Action({ status: 201 })
  async follow(context: ActionContext) {
    await this.subscribe(this.onMessage, {}, context).catch(refused.resolve);
  }
}

let requestId: unknown = '';

@Consumer()
class MistakenConsumer extends MessageObserver {
  override readonly requestIds = { lobby: 'onRoom', news: 'onMessage' } as const;

  protected override async onConnect() {
    await this.subscribe(this.onMessage, { room: 1 }, { requestId: requestId as string });
  }

  @Action()
  async hello() {}
}

describe('A consumer that subscribes by itself', () => {
  const database = useDatabase('own_subscriptions');
  let app: ReturnType<typeof createLobby>;
  let actionTimeLimit = 15_000;
  let logger: MemoryLogger;
  let clock: TestClock;
  let heard: SubscriptionIndex;

  function createLobby() {
    const { container, ...providers } = testProviders();
    ({ logger, clock } = providers);
    heard = new SubscriptionIndex();
    container.registerInstance(SubscriptionIndex, heard);
    return createApp({
      orm: database.orm,
      container,
      routes: [
        path('/lobby/', LobbyConsumer),
        path('/both/', demultiplexer({ lobby: LobbyConsumer, guarded: GuardedConsumer })),
        path('/guarded/', GuardedConsumer),
        path('/mistaken/', MistakenConsumer),
        path('/refusing/', RefusingConsumer),
        path('/hesitating/', HesitatingConsumer),
        path('/undaunted/', UndauntedConsumer),
      ],
      settings: { actionTimeLimit },
    });
  }

  beforeEach(async () => {
    asked = [];
    mayFollow = true;
    followed = Promise.withResolvers();
    hesitated = Promise.withResolvers();
    refused = Promise.withResolvers();
    actionTimeLimit = 15_000;
    app = createLobby();
    const em = database.orm.em.fork();
    for (const name of ['guests', 'users']) em.create(Room, { name });
    await em.flush();
  });
  afterEach(() => app.close());

  async function post(room: number, text: string): Promise<number> {
    const em = database.orm.em.fork();
    const message = em.create(Message, { room, text });
    await em.flush();
    return message.id;
  }

  it('gives its client the events under the request id of its choice', async () => {
    await using ann = await connect(app, '/lobby/');
    await ann.request('who');
    const id = await post(1, 'hello');
    await post(2, 'for others');
    expect(await ann.receive()).to.deep.equal(event('create', { id, text: 'hello' }, 'lobby'));
    await ann.expectSilence();
  });

  it('takes back what it subscribed to, by the same request id', async () => {
    await using ann = await connect(app, '/lobby/');
    await ann.request('rest');
    await post(1, 'unheard');
    await ann.expectSilence();
  });

  it('lets the client end it like any other subscription', async () => {
    await using ann = await connect(app, '/lobby/');
    await ann.request('unsubscribe', { target: 'lobby' });
    await post(1, 'unheard');
    await ann.expectSilence();
  });

  it('is ended by a login and a logout, as all subscriptions are, and subscribes anew for the other user', async () => {
    await using ann = await connect(app, '/lobby/');
    ann.send({ action: 'login', request_id: 1 });
    expect(await ann.receive()).to.deep.equal(revoked('lobby'));
    expect(await ann.receive()).to.deep.equal(reply('login', null));
    await ann.request('who');
    const id = await post(2, 'for users');
    await post(1, 'for guests');
    expect(await ann.receive()).to.deep.equal(event('create', { id, text: 'for users' }, 'lobby'));
    ann.send({ action: 'logout', request_id: 2 });
    expect(await ann.receive()).to.deep.equal(revoked('lobby'));
    expect(await ann.receive()).to.deep.equal(reply('logout', null, 2));
    await ann.request('who');
    await post(2, 'for users again');
    const other = await post(1, 'for guests again');
    expect(await ann.receive()).to.deep.equal(event('create', { id: other, text: 'for guests again' }, 'lobby'));
    await ann.expectSilence();
  });

  it('is asked for each event whether its client may hear it', async () => {
    await using ann = await connect(app, '/guarded/');
    await ann.request('nothing');
    expect(asked).to.deep.equal([]);
    const id = await post(1, 'allowed');
    expect(await ann.receive()).to.deep.equal(event('create', { id, text: 'allowed' }, 'guarded'));
    expect(asked[0]).to.deep.equal({
      action: 'on_connect',
      kwargs: { room: 1 },
      requestId: 'guarded',
      isDelivery: true,
    });
    mayFollow = false;
    await post(1, 'refused');
    await ann.expectSilence();
    mayFollow = true;
    const allowed = await post(1, 'allowed again');
    expect(await ann.receive()).to.deep.equal(event('create', { id: allowed, text: 'allowed again' }, 'guarded'));
  });

  it('begins with the connection behind a demultiplexer where it is eager, else with the first frame of its stream', async () => {
    await using ann = await connect(app, '/both/');
    await within(followed.promise, 'The subscription');
    const id = await post(1, 'early');
    expect(await ann.channel('lobby').receive()).to.deep.equal(event('create', { id, text: 'early' }, 'lobby'));
    await ann.channel('guarded').expectSilence();
    await ann.channel('guarded').request('nothing');
    const late = await post(1, 'late');
    expect(await ann.channel('guarded').receive()).to.deep.equal(
      event('create', { id: late, text: 'late' }, 'guarded'),
    );
  });

  const mistakes: readonly [unknown, string][] = [
    [
      '',
      `MistakenConsumer.onMessage: is subscribed to under the request id "". Give a text of 1 to 64 characters: { requestId: 'lobby' }.`,
    ],
    [
      4,
      `MistakenConsumer.onMessage: is subscribed to under the request id 4. Give a text of 1 to 64 characters: { requestId: 'lobby' }.`,
    ],
    [
      undefined,
      `MistakenConsumer.onMessage: is subscribed to under the request id undefined. Give a text of 1 to 64 characters: { requestId: 'lobby' }.`,
    ],
    [
      'lobby',
      `MistakenConsumer.onMessage: is subscribed to under the request id "lobby", which contradicts its requestIds. Name it there: override readonly requestIds = { lobby: 'onMessage' } as const.`,
    ],
    [
      'attic',
      `MistakenConsumer.onMessage: is subscribed to under the request id "attic", which contradicts its requestIds. Name it there: override readonly requestIds = { attic: 'onMessage' } as const.`,
    ],
  ];
  for (const [id, text] of mistakes) {
    it(`is told of a mistake in its request id: ${JSON.stringify(id)}`, async () => {
      requestId = id;
      await using ann = await connect(app, '/mistaken/');
      expect(await ann.request('hello')).to.include({ response_status: 500 });
      expect(logger.at('error').map(({ fields }) => (fields['error'] as Error).message)).to.include(text);
    });
  }

  it('sends nothing to a client that its onConnect refuses afterwards', async () => {
    await using ann = await connect(app, '/refusing/');
    expect(await ann.request('hello')).to.include({ response_status: 403 });
    expect(heard.groups.size).to.equal(0);
    await post(1, 'unheard');
    await app.idle();
    await ann.expectSilence();
  });

  it('is refused if it subscribes after its onConnect has exceeded the time limit', async () => {
    await app.close();
    actionTimeLimit = 20;
    app = createLobby();
    await using ann = await connect(app, '/hesitating/');
    const hello = ann.request('hello');
    await clock.advance(20);
    expect(await hello).to.include({ response_status: 504 });
    hesitated.resolve();
    expect(String(await within(refused.promise, 'The refusal'))).to.match(/^TimeLimitExceeded/);
    expect(heard.groups.size).to.equal(0);
  });

  it('is not subscribed if its rights cannot be determined, even if it goes on', async () => {
    await using ann = await connect(app, '/undaunted/');
    expect(await ann.request('follow')).to.include({ response_status: 201 });
    expect(String(await within(refused.promise, 'The failure'))).to.equal('Error: The rights are not known.');
    expect(heard.groups.size).to.equal(0);
  });

  describe('is heard by the client', () => {
    let port: number;
    let client: Client<AppApi<typeof app, '/lobby/'>>;
    let streams: Client<AppApi<typeof app, '/both/'>>;

    beforeEach(async () => {
      port = await lastingPort();
      await app.listen({ port, host: '127.0.0.1' });
      client = createClient(`ws://127.0.0.1:${port}/lobby/`, { firstDelay: 20 });
      streams = createClient(`ws://127.0.0.1:${port}/both/`, { firstDelay: 20, lazy: true });
    });
    afterEach(() => {
      client.$close();
      streams.$close();
    });

    it('without asking for it, and again after a reconnection without sending a frame', async () => {
      const texts: string[] = [];
      let heard = Promise.withResolvers<void>();
      const stop = hear(client, null, 'lobby', ({ action, data }) => {
        if (action === 'delete') return;
        texts.push(data.text);
        heard.resolve();
      });
      await client.who();
      await post(1, 'first');
      await within(heard.promise, 'The first event');
      heard = Promise.withResolvers();
      followed = Promise.withResolvers();
      await app.close();
      app = createLobby();
      await app.listen({ port, host: '127.0.0.1' });
      await within(followed.promise, 'The reconnection');
      await post(1, 'second');
      await within(heard.promise, 'The second event');
      expect(texts).to.deep.equal(['first', 'second']);
      stop();
      await post(1, 'third');
      await app.idle();
      await client.who();
      expect(texts).to.deep.equal(['first', 'second']);
    });

    it('by its stream, where there are several', async () => {
      const heard = Promise.withResolvers<unknown>();
      hear(streams, 'lobby', 'lobby', (told) => heard.resolve(told));
      await streams.lobby.who();
      const id = await post(1, 'streamed');
      expect(await within(heard.promise, 'The event')).to.deep.equal({
        action: 'create',
        data: { id, text: 'streamed' },
      });
    });

    it('together with what it is told of its end, as frames of no request', async () => {
      const revoked = Promise.withResolvers<unknown>();
      client.$onFrame((payload) => revoked.resolve(payload));
      await client.login();
      expect(await within(revoked.promise, 'The frame')).to.include({ action: 'revoked', request_id: 'lobby' });
    });
  });
});
