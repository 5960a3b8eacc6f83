import { expect } from 'chai';
import type { App } from 'signalbox';
import {
  type Client,
  type ClientOptions,
  type ConnectionStatus,
  createClient,
  live,
  SignalboxError,
} from 'signalbox/client';
import { TestClock } from 'signalbox/testing';
import { Inbox } from '#signalbox/testing/inbox.js';
import { useDatabase } from '../support/database.js';
import { patience, within } from '../support/deadline.js';
import { Message, Room } from '../support/entities.js';
import { lastingPort } from '../support/ports.js';
import {
  abortions,
  type ChatApi,
  type ClockApi,
  createChat,
  lockedRooms,
  type MemberApi,
  RoomConsumer,
} from './chat.js';

describe('The client, against a served application', () => {
  const database = useDatabase('client');
  const clients: Client<object>[] = [];
  let app: App;
  let port: number;
  let chat: Client<ChatApi>;

  beforeEach(async () => {
    lockedRooms.clear();
    app = createChat(database.orm);
    port = await lastingPort();
    await app.listen({ port, host: '127.0.0.1' });
    chat = open<ChatApi>('/ws/chat/');
    const em = database.orm.em.fork();
    for (const name of ['red', 'blue']) em.create(Room, { name });
    await em.flush();
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.$close();
    await app.close();
  });

  function open<Api>(path: string, options: ClientOptions = {}): Client<Api> {
    const client = createClient<Api>(`ws://127.0.0.1:${port}${path}`, { firstDelay: 20, ...options });
    clients.push(client);
    return client;
  }

  const post = async (room: number, text: string): Promise<void> => {
    const em = database.orm.em.fork();
    em.create(Message, { room, text });
    await em.flush();
  };

  const until = (client: Client<object>, status: ConnectionStatus): Promise<void> =>
    within(
      new Promise((resolve) => {
        if (client.$status === status) resolve();
        client.$onStatus((now) => now === status && resolve());
      }),
      `The status ${status}`,
    );

  /** A server that is back on its port, as after a deployment. */
  const restart = async (): Promise<void> => {
    await app.close();
    app = createChat(database.orm);
    await app.listen({ port, host: '127.0.0.1' });
  };

  it('lists, creates, changes and deletes', async () => {
    expect(await chat.rooms.list()).to.deep.equal([
      { id: 1, name: 'red', archived: false },
      { id: 2, name: 'blue', archived: false },
    ]);
    expect(await chat.rooms.create({ data: { name: 'green' } })).to.deep.equal({
      id: 3,
      name: 'green',
      archived: false,
    });
    expect(await chat.rooms.patch({ pk: 3, data: { name: 'lime' } })).to.include({ name: 'lime' });
    expect(await chat.rooms.archive({ pk: 3 })).to.include({ archived: true });
    expect(await chat.rooms.delete({ pk: 3 }, { timeout: Number.POSITIVE_INFINITY })).to.equal(null);
    expect(await chat.$request('rooms', { action: 'retrieve', pk: 1 })).to.include({ name: 'red' });
  });

  it('rejects with the status, the code and the texts of an error', async () => {
    const missing = await chat.rooms.retrieve({ pk: 9 }).catch((error: unknown) => error);
    expect(missing).to.be.instanceOf(SignalboxError);
    expect(missing).to.include({ status: 404, code: 'not_found', action: 'retrieve', message: 'Not found.' });
    expect(missing).to.include({ maybeExecuted: false, isRetryable: false });
    const invalid = await chat.rooms.create({ data: { name: '' } }).catch((error: SignalboxError) => error);
    expect(invalid).to.include({ status: 400, code: 'validation_failed' });
    expect(invalid).to.have.property('errors').that.has.nested.property('[0].name');
  });

  it('gives parts one by one, then the reply', async () => {
    const parts: number[] = [];
    const call = chat.rooms.countdown({ from: 3 });
    for await (const { left } of call) parts.push(left);
    expect(parts).to.deep.equal([3, 2, 1]);
    expect(await call).to.deep.equal({ done: true });
    expect(await chat.rooms.countdown({ from: 1 })).to.deep.equal({ done: true });
  });

  it('cancels on the server what is aborted here', async () => {
    const abort = new AbortController();
    const waiting = chat.rooms.wait({}, { signal: abort.signal }).catch((error: unknown) => error);
    await chat.rooms.list();
    abort.abort('enough');
    expect(await waiting).to.equal('enough');
    expect(await abortions.take(patience)).to.include({ code: 'cancelled' });
  });

  it('talks to a route without streams', async () => {
    const clock = open<ClockApi>('/ws/clock/');
    const at = '2026-01-02T03:04:05.000Z';
    expect(await clock.year({ at })).to.deep.equal({ year: 2026, at, ticks: '2' });
    const frames = new Inbox<unknown>();
    clock.$onFrame((frame) => frames.put(frame));
    await clock.shout();
    expect(await frames.take(patience)).to.deep.equal({ shouted: 'hi' });
    await clock.leave();
    await until(clock, 'stopped');
  });

  it('hears events, until it cancels', async () => {
    const events = new Inbox<unknown>();
    const subscription = chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => events.put(event));
    expect(subscription.state).to.equal('pending');
    expect(await subscription.ready).to.deep.equal({ room: 1 });
    expect(subscription.state).to.equal('live');
    const message = await chat.rooms.createMessage({ room: 1, text: 'hi' });
    expect(await events.take(patience)).to.deep.equal({ action: 'create', data: message });
    subscription.cancel();
    await chat.rooms.list();
    const frames: unknown[] = [];
    chat.$onFrame((frame) => frames.push(frame));
    await post(1, 'unheard');
    await app.idle();
    await chat.rooms.list();
    expect([events.size, frames]).to.deep.equal([0, []]);
  });

  it('hears of one row', async () => {
    const events = new Inbox<unknown>();
    const subscription = chat.rooms.$onInstance({ pk: 1 }, (event) => events.put(event));
    await subscription.ready;
    await chat.rooms.archive({ pk: 1 });
    expect(await events.take(patience)).to.deep.equal({
      action: 'update',
      data: { id: 1, name: 'red', archived: true },
    });
    await chat.rooms.delete({ pk: 1 });
    expect(await events.take(patience)).to.deep.equal({ action: 'delete', data: { pk: 1 } });
  });

  it('iterates over events, and ends the subscription with the loop', async () => {
    const subscription = chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 });
    await subscription.ready;
    await post(1, 'one');
    await post(1, 'two');
    const texts: string[] = [];
    for await (const event of subscription) {
      if (event.action !== 'delete') texts.push(event.data.text);
      if (texts.length === 2) break;
    }
    expect(texts).to.deep.equal(['one', 'two']);
    expect(subscription.state).to.equal('ended');
  });

  it('says why a subscription is refused', async () => {
    lockedRooms.add(2);
    const subscription = chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 2 });
    const refusal = await subscription.ready.catch((error: unknown) => error);
    expect(refusal).to.include({ status: 403, code: 'permission_denied' });
    expect(subscription).to.include({ state: 'refused', error: refusal });
  });

  it('ends a subscription that is revoked, and does not ask for it again', async () => {
    const subscription = chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 });
    await subscription.ready;
    const over = within(new Promise((resolve) => subscription.onChange(resolve)), 'The end of the subscription');
    lockedRooms.add(1);
    await app.recheck(RoomConsumer, 'onMessage', ['room-1']);
    expect(await over).to.equal('revoked');
    expect(subscription.error).to.include({ status: 403, code: 'revoked', action: 'revoked' });
    lockedRooms.clear();
    chat.$reconnect();
    await until(chat, 'open');
    await chat.rooms.list();
    expect(subscription.state).to.equal('revoked');
  });

  it('asks for a fresh token where the one it had is refused, or expires', async () => {
    const tokens = ['stale', 'fresh', 'fresh'];
    const members = open<MemberApi>('/ws/members/', { token: async () => tokens.shift() ?? null });
    expect(await members.who()).to.deep.equal({ id: '1' });
    expect(tokens).to.deep.equal(['fresh']);
    await members.expire();
    await until(members, 'connecting');
    expect(await members.who()).to.deep.equal({ id: '1' });
    expect(tokens).to.deep.equal([]);
    await members.expire();
    await until(members, 'unauthenticated');
  });

  it('keeps a collection in step, over a restart as well', async () => {
    await post(1, 'one');
    const messages = live(chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), {
      list: () => chat.rooms.listMessages({ room: 1 }),
      compare: (one, other) => one.id - other.id,
    });
    const shows = (...texts: readonly string[]): Promise<void> =>
      within(
        new Promise((resolve) => {
          const look = (): void => {
            const { rows, status } = messages.getSnapshot();
            if (status === 'ready' && rows.map(({ text }) => text).join() === texts.join()) resolve();
          };
          messages.subscribe(look);
          look();
        }),
        `The messages ${texts}`,
      );
    await shows('one');
    await post(1, 'two');
    await shows('one', 'two');
    await app.close();
    await post(1, 'three');
    app = createChat(database.orm);
    await app.listen({ port, host: '127.0.0.1' });
    await shows('one', 'two', 'three');
    await post(1, 'four');
    await shows('one', 'two', 'three', 'four');
    messages.close();
  });

  it('comes back after a restart of the server: subscriptions go on, and what waited is done', async () => {
    const events = new Inbox<unknown>();
    const resyncs = new Inbox<unknown>();
    const subscription = chat.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }, (event) => events.put(event));
    subscription.onResync((reply) => resyncs.put(reply));
    await subscription.ready;
    const lost = until(chat, 'waiting');
    const restarted = restart();
    await lost;
    expect(subscription.state).to.equal('pending');
    const message = chat.rooms.createMessage({ room: 1, text: 'while away' });
    await restarted;
    expect(await resyncs.take(patience)).to.deep.equal({ room: 1 });
    expect(await events.take(patience)).to.deep.equal({ action: 'create', data: await message });
  });

  it('comes back ten seconds after it sent too much at once, and asks again for what may be repeated', async () => {
    await app.close();
    const ours = new TestClock();
    // Three requests that wait would wait for longer than they may, and two do not.
    app = createChat(database.orm, { limits: { messagesPerSecond: 4, messageBurst: 1, pauseTime: 1_000 } }, ours);
    await app.listen({ port, host: '127.0.0.1' });
    const long: number[] = [];
    const clock: ClientOptions['clock'] = {
      after(milliseconds, callback) {
        if (milliseconds >= 10_000) long.push(milliseconds);
        const timer = setTimeout(callback, milliseconds >= 10_000 ? 50 : milliseconds);
        return { cancel: () => clearTimeout(timer) };
      },
    };
    const times = { timeout: 0, heartbeat: 0, connectTimeout: 9_000, healthyAfter: 9_000 };
    const eager = open<ClockApi>('/ws/clock/', { ...times, clock, random: () => 0.5 });
    const reasons: unknown[] = [];
    eager.$onStatus((status, why) => status === 'waiting' && reasons.push(why));
    await until(eager, 'open');
    const ask = () => eager.year({ at: '1970-01-01T00:00:00Z' }, { retry: true });
    await ask();
    const waiting = until(eager, 'waiting');
    const replies = Promise.all([ask(), ask(), ask()]);
    await waiting;
    await until(eager, 'open');
    const stop = setInterval(() => ours.advance(25), 5);
    const years = await within(replies, 'The replies');
    clearInterval(stop);
    expect(years.map((reply) => reply?.year)).to.deep.equal([1970, 1970, 1970]);
    expect(reasons).to.deep.equal([{ code: 1013, reason: 'Too many messages.' }]);
    expect(long).to.deep.equal([10_010]);
  });

  it('is asked for a ping where nothing was said for long, and is answered', async () => {
    const pongs = new Inbox<unknown>();
    class SpiedWebSocket extends WebSocket {
      constructor(...given: ConstructorParameters<typeof WebSocket>) {
        super(...given);
        this.addEventListener('message', ({ data }) => String(data).includes('"ping"') && pongs.put(data));
      }
    }
    const times = { heartbeat: 5, heartbeatTimeout: patience };
    const patient = open<ChatApi>('/ws/chat/', { ...times, WebSocket: SpiedWebSocket });
    const statuses: ConnectionStatus[] = [];
    patient.$onStatus((status) => statuses.push(status));
    await until(patient, 'open');
    for (let each = 0; each < 2; each += 1) await pongs.take(patience);
    await patient.rooms.countdown({ from: 3 });
    expect(statuses).to.deep.equal(['open']);
  });

  it('closes', async () => {
    await chat.rooms.list();
    const waiting = chat.rooms.wait().catch((error: SignalboxError) => error.code);
    chat.$close();
    expect(await waiting).to.equal('connection_lost');
    expect(await chat.rooms.list().catch((error: SignalboxError) => error.code)).to.equal('closed');
    expect(chat.$status).to.equal('closed');
  });
});
