import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  Action,
  ApiConsumer,
  type App,
  Consumer,
  demultiplexer,
  type Limits,
  Overloaded,
  path,
  type Scope,
  type ScopeMiddleware,
  Throttled,
} from 'signalbox';
import { connect, MemoryCounters, type MemoryLogger, TestClock, type TestConnection } from 'signalbox/testing';
import { injectable } from 'tsyringe';
import { ConnectionLimiter, Rate, TokenBucket } from '#signalbox/server/rate-limit.js';
import { networkOf } from '#signalbox/server/trusted-proxies.js';
import { defaultSettings } from '#signalbox/settings.js';
import { until, within } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { checkProperty } from '../support/properties.js';
import { frameBytes, RawWebSocket } from '../support/raw-web-socket.js';
import { SilentConsumer, useServer } from '../support/serving.js';
import { RawClient, SocketClient, upgradeRequest } from '../support/sockets.js';

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

  function open(limits: Partial<Limits> = {}): void {
    const routes = [path('/', CountConsumer), path('/many/', demultiplexer({ counts: StreamConsumer }))];
    const settings = { limits: { waitingRequests: 1_000, ...limits } };
    ({ app, clock, logger, counters } = serve(routes, { settings }));
  }

  beforeEach(() => {
    runs = 0;
    open();
  });

  const reached = (limit: string): number => counters.count('signalbox.limits_reached', { limit });
  const tooMany = (id: number, wait: number): object => ({
    errors: ['Too many messages of one user.'],
    data: { retry_after_ms: wait },
    action: 'count',
    response_status: 429,
    request_id: id,
    code: 'throttled',
  });
  const as = (userId: string, route = '/'): Promise<TestConnection> => connect(app, route, { identity: { userId } });

  async function statuses(client: TestConnection, count: number): Promise<number[]> {
    for (let id = 1; id <= count; id += 1) client.send({ action: 'count', request_id: id });
    const frames = await Promise.all(Array.from({ length: count }, () => client.receive()));
    return frames.map(({ response_status }) => response_status);
  }

  const sendMany = (client: TestConnection, count: number): void => {
    for (let id = 1; id <= count; id += 1) client.send({ action: 'count', request_id: id });
  };
  /** How many answers came, once there are as many as this and no more come. */
  const answered = async (client: TestConnection, count: number): Promise<number> => {
    const come = (): number => client.frames.length;
    await until(() => come() >= count, `The answer ${count}`);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    return come();
  };

  it('take 512 frames at once and let those above wait, of which none is lost', async () => {
    await using client = await connect(app, '/');
    await using other = await connect(app, '/');
    sendMany(client, 515);
    expect(await answered(client, 512)).to.equal(512);
    expect(await other.request('count')).to.include({ response_status: 200 });
    expect(reached('messages')).to.equal(1);
    clock.advance(100);
    expect(await answered(client, 515)).to.equal(515);
    expect(client.frames.map(({ request_id }) => request_id)).to.deep.equal(
      Array.from({ length: 515 }, (_, at) => at + 1),
    );
    expect(new Set(client.frames.map(({ response_status }) => response_status))).to.deep.equal(new Set([200]));
  });

  it('take 50 frames a second from then on', async () => {
    await using client = await connect(app, '/');
    sendMany(client, 662);
    expect(await answered(client, 512)).to.equal(512);
    clock.advance(1_000);
    expect(await answered(client, 562)).to.equal(562);
    clock.advance(1_000);
    expect(await answered(client, 612)).to.equal(612);
  });

  it('count pings of JSON, which get no answer before their turn', async () => {
    open({ messageBurst: 1 });
    await using client = await connect(app, '/');
    for (const id of [1, 2]) client.send({ action: 'ping', request_id: id });
    expect(await answered(client, 1)).to.equal(1);
    clock.advance(25);
    expect(await answered(client, 2)).to.equal(2);
  });

  describe('of one user', () => {
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
      expect(await late.request('count', { request_id: 7 })).to.deep.equal(tooMany(7, 5));
      for (const client of clients) client.close();
      await Promise.all(clients.map((client) => client.ended));
    });

    it('are not renewed for a client that disconnects and connects again', async () => {
      open({ userMessageBurst: 512 });
      const gone = await as('ann');
      await statuses(gone, 512);
      gone.close();
      await gone.ended;
      await using ann = await as('ann');
      expect(await ann.request('count')).to.include({ response_status: 429 });
    });

    it('are never less than those of one connection', async () => {
      open({ userMessagesPerSecond: 1, userMessageBurst: 1 });
      await using ann = await as('ann');
      expect(new Set(await statuses(ann, 512))).to.deep.equal(new Set([200]));
      clock.advance(1_000);
      expect(new Set(await statuses(ann, 50))).to.deep.equal(new Set([200]));
    });

    it('are those of the user that the connection has now', () => {
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
    open({ messageBurst: 1, userMessageBurst: 1 });
    await using one = await as('ann');
    await one.request('count');
    await using client = await as('ann', '/many/');
    const counts = client.channel('counts');
    counts.send({ action: 'count', request_id: 9 });
    expect(await counts.receive()).to.deep.equal(tooMany(9, 5));
  });

  it('take 256 KiB at once and a second, and the largest frame whatever the rate', async () => {
    const large = { action: 'count', text: 'x'.repeat(32_700), more: 'x'.repeat(32_700) };
    open({ bytesPerSecond: 10_000 });
    await using slow = await connect(app, '/');
    for (const id of [1, 2]) slow.send({ ...large, request_id: id });
    expect(await answered(slow, 1)).to.equal(1);
    expect(reached('bytes')).to.equal(1);
    clock.advance(6_500);
    expect(await answered(slow, 1)).to.equal(1);
    clock.advance(100);
    expect(await answered(slow, 2)).to.equal(2);
    open();
    await using usual = await connect(app, '/');
    for (const id of [1, 2, 3, 4, 5]) usual.send({ ...large, request_id: id });
    expect(await answered(usual, 4)).to.equal(4);
    clock.advance(1_000);
    expect(await answered(usual, 5)).to.equal(5);
  });

  it('let binary frames of one user wait as well, of which none is lost', async () => {
    open({ messagesPerSecond: 20, messageBurst: 5, userMessagesPerSecond: 20, userMessageBurst: 5 });
    await using one = await as('ann');
    await using other = await as('ann');
    for (const client of [one, other]) for (let each = 0; each < 10; each += 1) client.sendBinary(new Uint8Array(3));
    await until(() => runs === 5, 'The burst');
    clock.advance(750);
    await until(() => runs === 20, 'The rest');
    expect([...one.frames, ...other.frames].every(({ code }) => code === undefined)).to.equal(true);
  });

  it('close with 1013 a connection that is answered 429 more than 200 times in a minute, and no other', async () => {
    open({ userMessageBurst: 512 });
    await using other = await connect(app, '/');
    await using one = await as('ann');
    await statuses(one, 512);
    const client = await as('ann');
    sendMany(client, 512);
    expect(await client.closed).to.equal(1013);
    expect(client.frames.map(({ response_status }) => response_status)).to.deep.equal(
      Array.from({ length: 201 }, () => 429),
    );
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

  it('cut a client that sends more pings than pongs can be sent for, and one that does not answer a close', async () => {
    open({ closeHandshakeTime: 50 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    using flooding = await RawWebSocket.open(port, '/');
    flooding.write(Buffer.concat(Array.from({ length: 100 }, () => frameBytes('a', { opcode: 9 }))));
    expect((await flooding.rest()).filter((answer) => 'pong' in answer)).to.have.length.at.most(10);
    clock.advance(1_000);
    using silent = await RawWebSocket.open(port, '/many/');
    silent.write(frameBytes('a', { opcode: 2 }));
    expect(await silent.answer()).to.deep.equal({ close: 1003 });
    expect(await silent.answer()).to.deep.equal({ end: true });
  });

  it('close with 1008 a client that sends a frame in more pieces than may wait', async () => {
    open({ bufferedChunks: 10, fragments: 2 });
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

  it('count pings, and read no further above the rate', async () => {
    open({ messageBurst: 5, pendingPongs: 100 });
    const { port } = await app.listen({ host: '127.0.0.1' });
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`);
    for (let each = 0; each < 5; each += 1) client.ping();
    client.send({ action: 'count', request_id: 1 });
    await until(() => reached('messages') === 1, 'The pause');
    clock.advance(25);
    expect(await client.receive()).to.include({ response_status: 200, request_id: 1 });
  });

  it('count pongs that nothing asked for, and none that answers a ping of the server', async () => {
    const settings = { limits: { messageBurst: 5, messagesPerSecond: 1 }, heartbeat: { interval: 50, timeLimit: 50 } };
    ({ app, clock, counters } = serve([path('/', CountConsumer)], { settings }));
    const server = createServer();
    const sockets: Socket[] = [];
    server.on('connection', (socket: Socket) => sockets.push(socket));
    await app.attach(server);
    await using client = await SocketClient.open(`ws://127.0.0.1:${await listening(server)}/`);
    const read = (): number => sockets[0]?.bytesRead ?? 0;
    for (const time of [2, ...Array<number>(9).fill(50)]) {
      const before = read();
      const pinged = client.pinged();
      clock.advance(time);
      await pinged;
      await until(() => read() > before, 'The pong');
    }
    client.send({ action: 'count', request_id: 1 });
    expect(await client.receive()).to.include({ response_status: 200, request_id: 1 });
    expect(reached('messages')).to.equal(0);
    for (let each = 0; each < 5; each += 1) client.pong(Buffer.from('unasked'));
    await until(() => reached('messages') === 1, 'The pause');
    server.close();
  });
});

describe('A token bucket', () => {
  it('gives its burst at once, then its rate, and says when the next will be there', () => {
    const bucket = new TokenBucket(new Rate(10, 3), 1_000);
    expect([1, 1, 1, 1].map((count) => bucket.take(count, 1_000))).to.deep.equal([0, 0, 0, 100]);
    expect(bucket.take(1, 1_099)).to.equal(1);
    expect(bucket.take(1, 1_100)).to.equal(0);
    expect(bucket.take(2, 1_100)).to.equal(200);
  });

  it('is full after a quiet time, and never more than full', () => {
    const bucket = new TokenBucket(new Rate(10, 3), 0);
    bucket.take(3, 0);
    expect(bucket.isFull(299)).to.equal(false);
    expect(bucket.isFull(300)).to.equal(true);
    expect([1, 1, 1, 1].map((count) => bucket.take(count, 100_000))).to.deep.equal([0, 0, 0, 100]);
  });

  it('gives nothing again for a time that has counted, if it is told an earlier time in between', () => {
    const bucket = new TokenBucket(new Rate(10, 2), 10_000);
    bucket.take(2, 10_000);
    expect(bucket.take(1, 9_000)).to.equal(100);
    expect(bucket.take(1, 10_000)).to.equal(100);
    expect(bucket.take(1, 10_100)).to.equal(0);
  });

  it('never gives more than burst and rate allow in any stretch of time, and what it promises (any calls)', () => {
    const call = fc.record({
      wait: fc.integer({ min: 0, max: 500 }),
      count: fc.integer({ min: 1, max: 5 }),
      // Milliseconds by which a look at the bucket comes with an older time.
      back: fc.integer({ min: 0, max: 500 }),
    });
    checkProperty(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 5, max: 20 }),
        fc.array(call),
        (rate, burst, calls) => {
          const bucket = new TokenBucket(new Rate(rate, burst), 0);
          let now = 0;
          let given = 0;
          for (const { wait, count, back } of calls) {
            bucket.waitFor(1, now - back);
            now += wait;
            const late = bucket.take(count, now);
            if (late === 0) given += count;
            expect(given).to.be.at.most(burst + (now / 1_000) * rate + 1e-6);
            if (late === 0) continue;
            now += late;
            // A millisecond more: what a computer adds up is never exact.
            expect(bucket.take(count, now + 1)).to.equal(0);
            now += 1;
            given += count;
          }
        },
      ),
    );
  });
});

let asked: number;
let answer: PromiseWithResolvers<void>;

@injectable()
class Doorkeeper implements ScopeMiddleware {
  async apply(scope: Scope): Promise<void> {
    asked += 1;
    const userId = scope.query.get('user');
    if (userId !== null) scope.identity = { userId };
    if (scope.query.has('wait')) await answer.promise;
  }
}

describe('The limits of handshakes', () => {
  describe('of a process', () => {
    let clock: TestClock;
    let counters: MemoryCounters;

    beforeEach(() => {
      clock = new TestClock();
      counters = new MemoryCounters();
    });

    function limitsOf(limits: Partial<Limits> = {}): ConnectionLimiter {
      return new ConnectionLimiter({ ...defaultSettings.limits, ...limits }, clock, counters);
    }

    it('take 10,000 connections, and 500 handshakes a second', () => {
      const limits = limitsOf();
      for (let count = 0; count < 20; count += 1) {
        for (let each = 0; each < 500; each += 1) limits.enter(undefined);
        if (count < 19) {
          expect(() => limits.enter(undefined))
            .to.throw(Overloaded, 'Too many handshakes.')
            .with.property('retryAfter', 2);
        }
        clock.advance(1_000);
      }
      expect(() => limits.enter(undefined))
        .to.throw(Overloaded, 'The server has no room for another connection.')
        .with.property('retryAfter', 10_000);
      expect(counters.count('signalbox.limits_reached', { limit: 'handshakes' })).to.equal(19);
      expect(counters.count('signalbox.limits_reached', { limit: 'connections' })).to.equal(1);
    });

    it('take 100 connections of one address, and another one when one of them leaves', () => {
      const limits = limitsOf();
      const places = Array.from({ length: 100 }, () => limits.enter('203.0.113.9'));
      clock.advance(1_000);
      expect(() => limits.enter('203.0.113.9'))
        .to.throw(Throttled, 'An address may have at most 100 connections.')
        .with.property('retryAfter', 10_000);
      limits.enter('203.0.113.10');
      places[0]?.leave();
      places[0]?.leave();
      limits.enter('203.0.113.9');
      expect(() => limits.enter('203.0.113.9')).to.throw(Throttled);
      expect(counters.count('signalbox.limits_reached', { limit: 'address_connections' })).to.equal(2);
    });

    it('take 100 handshakes of one address at once, then 10 a second, and those refused cost the others nothing', () => {
      const limits = limitsOf({ handshakesPerSecond: 101 });
      for (let each = 0; each < 100; each += 1) limits.enter('203.0.113.9').leave();
      for (let each = 0; each < 1_000; each += 1) {
        expect(() => limits.enter('203.0.113.9'))
          .to.throw(Throttled, 'Too many handshakes.')
          .with.property('retryAfter', 100);
      }
      limits.enter('203.0.113.10');
      clock.advance(100);
      limits.enter('203.0.113.9');
      expect(counters.count('signalbox.limits_reached', { limit: 'address_handshakes' })).to.equal(1_000);
    });

    it('count all addresses of an IPv6 network of 64 bits as one', () => {
      const limits = limitsOf({ connectionsPerAddress: 1 });
      limits.enter(networkOf('2001:db8::1'));
      expect(() => limits.enter(networkOf('2001:db8::2'))).to.throw(Throttled);
      limits.enter(networkOf('2001:db8:0:1::1'));
    });

    it('take 20 connections of one user, and another one when one of them leaves', () => {
      const limits = limitsOf();
      const places = Array.from({ length: 21 }, () => limits.enter(undefined));
      for (const place of places.slice(0, 20)) place.takeFor('ann');
      expect(() => places[20]?.takeFor('ann'))
        .to.throw(Throttled, 'A user may have at most 20 connections.')
        .with.property('retryAfter', 10_000);
      limits.enter(undefined).takeFor('bob');
      limits.enter(undefined).takeFor(undefined);
      places[3]?.leave();
      places[20]?.takeFor('ann');
      expect(counters.count('signalbox.limits_reached', { limit: 'user_connections' })).to.equal(1);
    });

    it('forget addresses of which nothing needs to be known', () => {
      const limits = limitsOf({ handshakesPerSecond: 100_000, connections: 100_000 });
      for (let each = 0; each < 30_000; each += 1) {
        limits.enter(`10.${each >> 16}.${(each >> 8) & 255}.${each & 255}`).leave();
        if (each % 10_000 === 0) clock.advance(1_000);
      }
      expect(limits.knownAddresses).to.be.below(20_001);
    });

    it('forget users who left, once there are many of them', () => {
      const limits = limitsOf({ handshakesPerSecond: 100_000, connections: 100_000 });
      const stays = limits.enter(undefined);
      stays.takeFor('ann');
      for (let each = 0; each < 30_000; each += 1) {
        const place = limits.enter(undefined);
        place.takeFor(`user ${each}`);
        place.leave();
        if (each % 10_000 === 0) clock.advance(1_000);
      }
      expect(limits.knownUsers).to.be.below(20_001);
    });
  });

  describe('of an application', () => {
    const serve = useServer();

    beforeEach(() => {
      asked = 0;
      answer = Promise.withResolvers();
    });
    afterEach(() => answer.resolve());

    async function open(limits: Partial<Limits>) {
      const { app, counters } = serve([path('/', SilentConsumer)], { middleware: [Doorkeeper], settings: { limits } });
      const { port } = await app.listen({ host: '127.0.0.1' });
      return { counters, port, url: `ws://127.0.0.1:${port}/` };
    }

    /** All that a server says to an upgrade that it refuses. */
    async function refused(port: number, url = '/'): Promise<string> {
      using raw = await RawClient.open(port);
      raw.write(upgradeRequest(url));
      await raw.hear('\r\n\r\n');
      return raw.hear('.\n');
    }

    it('refuses with 503, Retry-After and a sentence when it is full, before any middleware authenticates the client', async () => {
      const { port, url } = await open({ connections: 1 });
      const client = await SocketClient.open(url);
      const refusal = await refused(port);
      expect(refusal)
        .to.match(/^HTTP\/1.1 503 Service Unavailable\r\n/)
        .and.include('\r\nRetry-After: 10\r\n');
      expect(refusal).to.match(/\r\n\r\nThe server has no room for another connection\.\n$/);
      expect(asked).to.equal(1);
      client.close();
      await client.closed;
      await using _ = await SocketClient.open(url);
    });

    it('refuses with 429 and Retry-After an address that has called too often', async () => {
      const { port, url } = await open({ addressHandshakeBurst: 1, addressHandshakesPerSecond: 1 });
      await using _ = await SocketClient.open(url);
      const refusal = await refused(port);
      expect(refusal)
        .to.match(/^HTTP\/1.1 429 Too Many Requests\r\n/)
        .and.include('\r\nRetry-After: 1\r\n');
      expect(refusal).to.match(/\r\n\r\nToo many handshakes\.\n$/);
    });

    it('believes no client that says it calls from elsewhere', async () => {
      const { port, url } = await open({ connectionsPerAddress: 1 });
      await using _ = await SocketClient.open(url, { headers: { 'x-forwarded-for': '203.0.113.1' } });
      using raw = await RawClient.open(port);
      raw.write(upgradeRequest('/', { 'X-Forwarded-For': '203.0.113.2' }));
      expect(await raw.hear('.\n')).to.match(/^HTTP\/1.1 429 /);
    });

    it('tells clients of a trusted proxy apart', async () => {
      const { app } = serve([path('/', SilentConsumer)], {
        settings: { trustedProxies: ['127.0.0.1'], limits: { connectionsPerAddress: 1 } },
      });
      const { port } = await app.listen({ host: '127.0.0.1' });
      const from = (address: string) =>
        SocketClient.open(`ws://127.0.0.1:${port}/`, { headers: { 'x-forwarded-for': address } });
      await using _one = await from('203.0.113.1');
      await using _two = await from('203.0.113.2');
      using raw = await RawClient.open(port);
      raw.write(upgradeRequest('/', { 'X-Forwarded-For': '203.0.113.2' }));
      expect(await raw.hear('.\n')).to.match(/^HTTP\/1.1 429 /);
    });

    it('refuses with 429 one connection too many of one user, and no other user', async () => {
      const { port, url } = await open({ connectionsPerUser: 1 });
      await using _ann = await SocketClient.open(`${url}?user=ann`);
      const refusal = await refused(port, '/?user=ann');
      expect(refusal)
        .to.match(/^HTTP\/1.1 429 /)
        .and.include('A user may have at most 1 connections.');
      await using _bob = await SocketClient.open(`${url}?user=bob`);
    });

    it('frees the place of a handshake that failed, and of a client that left while it was asked', async () => {
      const { port, url } = await open({ connections: 1 });
      for (const left of ['/nowhere', '/?wait=1']) {
        using raw = await RawClient.open(port);
        raw.write(upgradeRequest(left));
        if (left === '/nowhere') await raw.hear('404');
      }
      answer.resolve();
      await within(opensInTheEnd(url), 'The place');
    });

    it('counts what it refuses', async () => {
      const { port, url, counters } = await open({ connections: 1 });
      await using _ = await SocketClient.open(url);
      await refused(port);
      expect(counters.count('signalbox.limits_reached', { limit: 'connections' })).to.equal(1);
    });

    it('answers 408 to a client that takes too long to send its request', async () => {
      const { port } = await open({ headersTime: 50, requestTime: 50, requestCheckInterval: 20 });
      for (const start of ['', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
        using raw = await RawClient.open(port);
        raw.write(start);
        expect(await raw.hear('\r\n\r\n'), start).to.match(/^HTTP\/1.1 408 /);
      }
    });
  });
});

async function opensInTheEnd(url: string): Promise<void> {
  const client = await SocketClient.open(url).catch(() => undefined);
  if (!client) return opensInTheEnd(url);
  client.terminate();
  return undefined;
}
