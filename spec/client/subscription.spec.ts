import { expect } from 'chai';
import type { Client, ClientOptions, SignalboxError, Subscription } from 'signalbox/client';
import { revoked } from '../support/frames.js';
import { FakeNetwork, type FakeSocket, settled } from './fake-network.js';

interface Event {
  readonly action: string;
  readonly data: unknown;
}

describe('A subscription of a client', () => {
  let network: FakeNetwork;
  let client: Client<object>;
  let socket: FakeSocket;
  beforeEach(async () => {
    network = new FakeNetwork();
    await start();
  });
  afterEach(() => client.$close());

  async function start(options: ClientOptions = {}): Promise<void> {
    client = network.createClient({ heartbeat: 0, ...options });
    socket = await network.open();
  }

  function watch(events: unknown[] = []): Subscription<Event> {
    return client.$subscribe<Event>(null, { action: 'watch' }, ({ data }) => events.push(data));
  }

  function happen(data: unknown, id = 1, action = 'update'): void {
    socket.receive({ errors: [], data, action, response_status: action === 'delete' ? 204 : 200, request_id: id });
  }

  async function comeBack(): Promise<void> {
    network.random = 0;
    network.socket.drop();
    await network.advance(0);
    socket = await network.open();
  }

  const ask = { action: 'watch', request_id: 1 };

  it('is pending, then live with the reply, then told its events in order', async () => {
    const events: unknown[] = [];
    const states: string[] = [];
    const subscription = watch(events);
    subscription.onChange((state) => states.push(state));
    expect(subscription.state).to.equal('pending');
    socket.reply('welcome', { status: 201 });
    expect(await subscription.ready).to.equal('welcome');
    for (const data of [1, 2]) happen(data);
    happen({ pk: 3 }, 1, 'delete');
    expect([states, events]).to.deep.equal([['live'], [1, 2, { pk: 3 }]]);
  });

  it('is refused, and not asked for again', async () => {
    const subscription = watch();
    socket.reply(null, { status: 403, code: 'permission_denied' });
    expect(await subscription.ready.catch((error: SignalboxError) => error.code)).to.equal('permission_denied');
    expect([subscription.state, subscription.error?.status]).to.deep.equal(['refused', 403]);
    await comeBack();
    expect(socket.sent).to.deep.equal([]);
  });

  it('is asked for again as long as the server only has no time, and refused where waiting does not help', async () => {
    const subscription = watch();
    for (let turn = 1; turn <= 5; turn++) {
      socket.reply({ retry_after_ms: 10 }, { status: 429, code: 'throttled', id: 1 });
      await network.advance(10);
      expect([subscription.state, socket.sent.length]).to.deep.equal(['pending', turn + 1]);
    }
    socket.reply(null, { status: 429, code: 'throttled', id: 1 });
    expect(subscription.state).to.equal('refused');
  });

  it('is asked for again after a reconnection, before the requests that waited, and says that it missed something', async () => {
    const events: unknown[] = [];
    const resyncs: unknown[] = [];
    const states: string[] = [];
    const subscription = watch(events);
    subscription.onResync((reply) => resyncs.push(reply));
    subscription.onChange((state) => states.push(state));
    socket.reply('first');
    socket.drop();
    void client.$request(null, { action: 'list' }).catch(() => {});
    await network.advance(3_000);
    socket = await network.open();
    expect(socket.sent).to.deep.equal([ask, { action: 'list', request_id: 2 }]);
    expect(resyncs).to.deep.equal([]);
    socket.reply('second', { id: 1 });
    happen('event');
    expect([states, resyncs, events]).to.deep.equal([['live', 'pending', 'live'], ['second'], ['event']]);
  });

  it('is revoked, and not asked for again', async () => {
    const subscription = watch();
    socket.reply();
    socket.receive(revoked(1));
    expect([subscription.state, subscription.error?.message]).to.deep.equal([
      'revoked',
      'You may no longer follow this.',
    ]);
    await comeBack();
    expect(socket.sent).to.deep.equal([]);
  });

  it('ends with its stream', async () => {
    const subscription = client.$subscribe('rooms', { action: 'watch' });
    const other = client.$subscribe('users', { action: 'watch' });
    for (const [stream, id] of [
      ['rooms', 1],
      ['users', 2],
    ])
      socket.receive({ stream, payload: { errors: [], data: null, response_status: 201, request_id: id } });
    const payload = { errors: ['Closed.'], data: null, action: null, response_status: 410, request_id: null };
    socket.receive({ stream: 'rooms', payload: { ...payload, code: 'stream_closed' } });
    expect([subscription.state, subscription.error?.code, other.state]).to.deep.equal([
      'ended',
      'stream_closed',
      'live',
    ]);
  });

  describe('when it is cancelled', () => {
    const unsubscribe = { action: 'unsubscribe', target: 1, request_id: 2 };

    it('hears nothing more, and the server is told once', async () => {
      const events: unknown[] = [];
      const subscription = watch(events);
      socket.reply();
      subscription.cancel();
      subscription.cancel();
      happen('late');
      expect([subscription.state, subscription.error, events]).to.deep.equal(['ended', undefined, []]);
      expect(socket.sent).to.deep.equal([ask, unsubscribe]);
      await comeBack();
      expect(socket.sent).to.deep.equal([]);
    });

    it('before it was answered, does not become live', async () => {
      const subscription = watch();
      const ready = subscription.ready.catch((error: SignalboxError) => error.code);
      subscription.cancel();
      socket.reply(null, { id: 1 });
      expect([await ready, subscription.state]).to.deep.equal(['cancelled', 'ended']);
      expect(socket.sent).to.deep.equal([ask, unsubscribe]);
    });

    it('while the client is away, is not asked for again', async () => {
      const subscription = watch();
      socket.reply();
      socket.drop();
      subscription.cancel();
      await network.advance(3_000);
      expect((await network.open()).sent).to.deep.equal([]);
    });

    it('before it was sent, never is', async () => {
      socket.drop();
      watch().cancel();
      await network.advance(3_000);
      expect((await network.open()).sent).to.deep.equal([]);
    });

    it('by one of its own listeners, leaves the others as they are', async () => {
      const other: unknown[] = [];
      const subscription: Subscription<Event> = client.$subscribe<Event>(null, { action: 'watch' }, () =>
        subscription.cancel(),
      );
      watch(other);
      for (const id of [1, 2]) socket.reply(null, { id });
      happen('one', 1);
      happen('two', 2);
      expect([subscription.state, other]).to.deep.equal(['ended', ['two']]);
    });
  });

  it('hears nothing of an old socket', async () => {
    const events: unknown[] = [];
    watch(events);
    socket.reply();
    const old = socket;
    await comeBack();
    old.reply('late', { id: 1 });
    socket.reply(null, { id: 1 });
    happen('new');
    old.drop();
    expect([events, client.$status]).to.deep.equal([['new'], 'open']);
  });

  it('waits for a client that stopped to be told to come back, and ends with one that is closed', async () => {
    const subscription = watch();
    socket.reply();
    socket.drop(4403);
    expect(subscription.state).to.equal('pending');
    client.$reconnect();
    socket = await network.open();
    socket.reply();
    expect(subscription.state).to.equal('live');
    client.$close();
    expect([subscription.state, subscription.error?.code]).to.deep.equal(['ended', 'closed']);
    const late = watch();
    expect([late.state, late.error?.code]).to.deep.equal(['ended', 'closed']);
  });

  it('goes on telling the others where one listener throws, which is reported', async () => {
    const events: unknown[] = [];
    const subscription = client.$subscribe<Event>(null, { action: 'watch' }, () => {
      throw new Error('broken');
    });
    subscription.onEvent(({ data }) => events.push(data));
    socket.reply();
    const reported = await reportedOf(() => happen(1));
    expect([events, reported]).to.deep.equal([[1], ['broken']]);
  });

  it('keeps events until a reader takes them', async () => {
    const subscription = client.$subscribe<Event>(null, { action: 'watch' });
    socket.reply();
    happen(1);
    happen(2);
    const events: unknown[] = [];
    const stop = subscription.onEvent(({ data }) => events.push(data));
    happen(3);
    stop();
    expect(events).to.deep.equal([1, 2, 3]);
  });

  it('tells an event once, also where its only listener ends the listening with it', async () => {
    const events: unknown[] = [];
    const subscription = client.$subscribe<Event>(null, { action: 'watch' });
    socket.reply();
    const stop = subscription.onEvent(({ data }) => {
      events.push(data);
      stop();
    });
    happen(1);
    subscription.onEvent(({ data }) => events.push(data));
    happen(2);
    expect(events).to.deep.equal([1, 2]);
  });

  it('is iterated over, and ended by leaving the loop', async () => {
    const subscription = client.$subscribe<Event>(null, { action: 'watch' });
    socket.reply();
    happen(1);
    setImmediate(() => happen(2));
    const events: unknown[] = [];
    for await (const { data } of subscription) {
      events.push(data);
      if (events.length === 2) break;
    }
    expect([events, subscription.state]).to.deep.equal([[1, 2], 'ended']);
    expect(socket.last).to.include({ action: 'unsubscribe', target: 1 });
  });

  it('ends the loop when it is cancelled, and throws in it when it is revoked', async () => {
    const cancelled = client.$subscribe(null, { action: 'watch' });
    const end = cancelled[Symbol.asyncIterator]().next();
    cancelled.cancel();
    expect(await end).to.deep.equal({ done: true, value: undefined });
    const revoked = client.$subscribe(null, { action: 'watch' });
    socket.reply(null, { id: 3 });
    const failure = revoked[Symbol.asyncIterator]().next();
    socket.reply(null, { id: 3, status: 403, code: 'revoked' });
    expect(await failure.catch((error: SignalboxError) => error.code)).to.equal('revoked');
  });

  it('ends with an error where more events wait than the limit', async () => {
    client.$close();
    await start({ maxBuffer: 2 });
    const subscription = client.$subscribe(null, { action: 'watch' });
    socket.reply();
    for (const data of [1, 2, 3]) happen(data);
    expect([subscription.state, subscription.error?.code]).to.deep.equal(['ended', 'buffer_full']);
    expect(socket.last).to.include({ action: 'unsubscribe' });
  });

  it('keeps a thousand events unless it is said otherwise', async () => {
    const subscription = client.$subscribe(null, { action: 'watch' });
    socket.reply();
    for (let count = 0; count < 1_000; count++) happen(count);
    expect(subscription.state).to.equal('live');
    happen('one more');
    expect(subscription.state).to.equal('ended');
  });
});

/** The texts of what was thrown where nobody could catch it. */
async function reportedOf(act: () => void): Promise<string[]> {
  const reported: string[] = [];
  const report = ({ message }: Error): void => void reported.push(message);
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', report);
  act();
  await settled();
  process.off('uncaughtException', report);
  for (const listener of listeners) process.on('uncaughtException', listener);
  return reported;
}
