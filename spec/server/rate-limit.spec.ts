import { expect } from 'chai';
import { Action, ApiConsumer, type App, Consumer, Counters, demultiplexer, type Limits, path } from 'signalbox';
import { connect, MemoryCounters, type MemoryLogger, type TestClock, type TestConnection } from 'signalbox/testing';
import { ConnectionLimiter } from '#signalbox/server/rate-limit.js';
import { defaultSettings } from '#signalbox/settings.js';
import { useServer } from '../dcrf/wire-support.js';
import { testProviders } from '../support/providers.js';
import { frameBytes, RawWebSocket } from '../support/raw-web-socket.js';
import { SocketClient } from '../support/sockets.js';

let runs: number;

@Consumer({ binary: true })
class CountConsumer extends ApiConsumer {
  @Action()
  async count() {
    runs += 1;
    return runs;
  }

  protected override onBinary(): void {
    runs += 1;
    this.sendJson({ runs });
  }
}

@Consumer()
class StreamConsumer extends ApiConsumer {
  @Action()
  async count() {
    runs += 1;
    return runs;
  }
}

describe('The limits of messages', () => {
  const serve = useServer();
  let app: App;
  let clock: TestClock;
  let logger: MemoryLogger;
  let counters: MemoryCounters;

  async function open(limits: Partial<Limits> = {}): Promise<void> {
    const providers = testProviders();
    ({ clock, logger } = providers);
    counters = new MemoryCounters();
    providers.container.registerInstance(Counters as never, counters as never);
    const routes = [path('/', CountConsumer), path('/many/', demultiplexer({ counts: StreamConsumer }))];
    ({ app } = await serve(routes, {
      container: providers.container,
      settings: { limits: { waitingRequests: 1_000, ...limits } },
    }));
  }

  beforeEach(async () => {
    runs = 0;
    await open();
  });

  const reached = (limit: string): number => counters.count('signalbox.limits_reached', { limit });
  const tooMany = (id: number, wait: number, text = 'Too many messages.'): object => ({
    errors: [text],
    data: { retry_after_ms: wait },
    action: 'count',
    response_status: 429,
    request_id: id,
    code: 'throttled',
  });

  async function statuses(client: TestConnection, count: number): Promise<number[]> {
    for (let id = 1; id <= count; id += 1) client.send({ action: 'count', request_id: id });
    const frames = await Promise.all(Array.from({ length: count }, () => client.receive()));
    return frames.map(({ response_status }) => response_status);
  }

  it('take 100 frames at once and answer 429 to those above, which have no effect', async () => {
    await using client = await connect(app, '/');
    await using other = await connect(app, '/');
    for (let id = 1; id <= 103; id += 1) client.send({ action: 'count', request_id: id });
    expect(await client.reply(101)).to.deep.equal(tooMany(101, 20));
    expect(await client.reply(103)).to.deep.equal(tooMany(103, 20));
    await client.reply(100);
    expect(runs).to.equal(100);
    expect(await other.request('count')).to.include({ response_status: 200 });
    expect(reached('messages')).to.equal(3);
  });

  it('take 50 frames a second from then on', async () => {
    await using client = await connect(app, '/');
    await statuses(client, 100);
    clock.advance(1_000);
    const answers = await statuses(client, 52);
    expect(answers.filter((status) => status === 200)).to.have.length(50);
    expect(answers.filter((status) => status === 429)).to.have.length(2);
  });

  it('count pings of the protocol, which get no pong above the rate', async () => {
    await open({ messageBurst: 1 });
    await using client = await connect(app, '/');
    for (const id of [1, 2]) client.send({ action: 'ping', request_id: id });
    expect([await client.receive(), await client.receive()]).to.deep.equal([
      { errors: [], data: null, action: 'ping', response_status: 200, request_id: 1 },
      { ...tooMany(2, 20), action: 'ping' },
    ]);
  });

  describe('of one user', () => {
    const as = (userId: string): Promise<TestConnection> => connect(app, '/', { identity: { userId } });
    const busy = (count: number): Promise<TestConnection[]> =>
      Promise.all(Array.from({ length: count }, () => as('ann')));

    it('take 1,000 frames at once through all connections, then 200 a second, and leave others theirs', async () => {
      const clients = await busy(12);
      await using bob = await as('bob');
      await using nobody = await connect(app, '/');
      const burst = (await Promise.all(clients.map((client) => statuses(client, 100)))).flat();
      expect(burst.filter((status) => status === 200)).to.have.length(1_000);
      expect(burst.filter((status) => status === 429)).to.have.length(200);
      expect(reached('user_messages')).to.equal(200);
      for (const other of [bob, nobody]) expect(await other.request('count')).to.include({ response_status: 200 });
      clock.advance(1_000);
      const later = (await Promise.all(clients.map((client) => statuses(client, 50)))).flat();
      expect(later.filter((status) => status === 200)).to.have.length(200);
      await using late = await as('ann');
      expect(await late.request('count', { request_id: 7 })).to.deep.equal(
        tooMany(7, 5, 'Too many messages of one user.'),
      );
      for (const client of clients) client.close();
      await Promise.all(clients.map((client) => client.ended));
    });

    it('are not begun anew by who leaves and comes back', async () => {
      await open({ userMessageBurst: 100 });
      const gone = await as('ann');
      await statuses(gone, 100);
      gone.close();
      await gone.ended;
      await using ann = await as('ann');
      expect(await ann.request('count')).to.include({ response_status: 429 });
    });

    it('are never less than those of one connection', async () => {
      await open({ userMessagesPerSecond: 1, userMessageBurst: 1 });
      await using ann = await as('ann');
      expect(new Set(await statuses(ann, 100))).to.deep.equal(new Set([200]));
      clock.advance(1_000);
      expect((await statuses(ann, 60)).filter((status) => status === 200)).to.have.length(50);
    });

    it('belong to whoever a connection belongs to by now', () => {
      const limits = new ConnectionLimiter(defaultSettings.limits, clock, counters);
      const [one, other] = [limits.enter(undefined), limits.enter(undefined)];
      expect(one.messages).to.equal(undefined);
      one.takeFor('ann');
      other.takeFor('bob');
      expect(one.messages).to.not.equal(other.messages);
      other.takeFor('ann');
      expect(one.messages).to.equal(other.messages);
      other.takeFor(undefined);
      expect(other.messages).to.equal(undefined);
    });
  });

  it('answer in the stream of the frame', async () => {
    await open({ messageBurst: 1 });
    await using client = await connect(app, '/many/');
    const counts = client.channel('counts');
    await counts.request('count');
    counts.send({ action: 'count', request_id: 9 });
    expect(await counts.receive()).to.deep.equal(tooMany(9, 20));
  });

  it('take 256 KiB at once and a second, and the largest frame whatever the rate', async () => {
    await open({ bytesPerSecond: 1_000 });
    await using client = await connect(app, '/');
    const large = { action: 'count', text: 'x'.repeat(32_700), more: 'x'.repeat(32_700) };
    expect(await client.request('count', { ...large, request_id: 1 })).to.include({ response_status: 200 });
    expect(await client.request('count', { ...large, request_id: 2 })).to.deep.equal(
      tooMany(2, 65_370, 'Too many bytes.'),
    );
    expect(reached('bytes')).to.equal(1);
    await open();
    await using usual = await connect(app, '/');
    const sent = Array.from({ length: 5 }, (_, id) => usual.request('count', { ...large, request_id: id }));
    const answers = (await Promise.all(sent)).map(({ response_status }) => response_status);
    expect(answers).to.deep.equal([200, 200, 200, 200, 429]);
  });

  it('count binary frames, which are refused with no id', async () => {
    await open({ messageBurst: 1 });
    await using client = await connect(app, '/');
    client.sendBinary(new Uint8Array(3));
    client.sendBinary(new Uint8Array(3));
    expect(await client.receive()).to.include({ response_status: 429, request_id: null });
    expect(await client.receive()).to.deep.equal({ runs: 1 });
  });

  it('close with 1013 who sends more than 200 frames in a minute above the rate, and no other', async () => {
    await using other = await connect(app, '/');
    const client = await connect(app, '/');
    for (let id = 1; id <= 400; id += 1) client.send({ action: 'count', request_id: id });
    expect(await client.closed).to.equal(1013);
    expect(client.frames.filter(({ response_status }) => response_status === 429)).to.have.length(201);
    expect(await other.request('count')).to.include({ response_status: 200 });
    expect(reached('throttled')).to.equal(1);
    expect(logger.entries.filter(({ message }) => message === 'A connection was closed.')).to.deep.equal([
      {
        level: 'info',
        message: 'A connection was closed.',
        fields: { path: '/', code: 1013, reason: 'Too many messages.' },
      },
    ]);
  });

  it('close with 1008 after more than 20 frames in a minute that are no request, with one line in the log', async () => {
    await using other = await connect(app, '/');
    const client = await connect(app, '/');
    for (let each = 0; each < 20; each += 1) client.sendText('nul');
    expect(await client.request('count')).to.include({ response_status: 200 });
    client.sendText('nul');
    expect(await client.closed).to.equal(1008);
    expect(client.frames.filter(({ response_status }) => response_status === 400)).to.have.length(21);
    expect(await other.request('count')).to.include({ response_status: 200 });
    expect(reached('errors')).to.equal(1);
    expect(logger.entries.filter(({ level }) => level !== 'debug')).to.have.length(1);
  });

  it('give errors back at 20 a minute', async () => {
    await using client = await connect(app, '/');
    for (let each = 0; each < 40; each += 1) {
      client.sendText('nul');
      expect(await client.receive()).to.include({ response_status: 400 });
      clock.advance(3_000);
    }
    expect(await client.request('count')).to.include({ response_status: 200 });
  });

  for (const [what, frame] of [
    ['unknown actions', { stream: 'counts', payload: { action: 'nope', request_id: 1 } }],
    ['unknown streams', { stream: 'nope', payload: { action: 'count', request_id: 1 } }],
    ['actions of the wrong type', { stream: 'counts', payload: { action: 1, request_id: 1 } }],
  ] as const) {
    it(`count ${what} as errors`, async () => {
      const client = await connect(app, '/many/');
      for (let each = 0; each < 21; each += 1) client.send(frame);
      expect(await client.closed).to.equal(1008);
    });
  }

  it('cut who sends more pings than pongs can be sent for, and who does not answer a close', async () => {
    await open({ closeHandshakeTime: 50 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    using flooding = await RawWebSocket.open(port, '/');
    flooding.write(Buffer.concat(Array.from({ length: 100 }, () => frameBytes('a', { opcode: 9 }))));
    expect((await flooding.rest()).filter((answer) => 'pong' in answer)).to.have.length.at.most(10);
    using silent = await RawWebSocket.open(port, '/many/');
    silent.write(frameBytes('a', { opcode: 2 }));
    expect(await silent.answer()).to.deep.equal({ close: 1003 });
    expect(await silent.answer()).to.deep.equal({ end: true });
  });

  it('close with 1008 who sends a frame in more pieces than may wait', async () => {
    await open({ bufferedChunks: 10, fragments: 2 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    using client = await RawWebSocket.open(port, '/');
    for (const byte of frameBytes('a'.repeat(200))) {
      client.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.answer()).to.deep.equal({ close: 1008 });
    using fragmenting = await RawWebSocket.open(port, '/');
    for (const opcode of [1, 0, 0]) fragmenting.write(frameBytes('a', { opcode, fin: false }));
    expect(await fragmenting.answer()).to.deep.equal({ close: 1008 });
  });

  it('count pings, and close who sends too many of them', async () => {
    await open({ messageBurst: 5, throttledPerMinute: 3, pendingPongs: 100 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    const client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 5; each += 1) client.ping();
    client.send({ action: 'count', request_id: 1 });
    expect(await client.receive()).to.deep.equal(tooMany(1, 20));
    for (let each = 0; each < 3; each += 1) client.ping();
    expect(await client.closed).to.equal(1013);
  });
});
