import { expect } from 'chai';
import {
  ApiConsumer,
  Consumer,
  Counters,
  type Limits,
  Overloaded,
  path,
  type Scope,
  type ScopeMiddleware,
  Throttled,
} from 'signalbox';
import { MemoryCounters, TestClock } from 'signalbox/testing';
import { type DependencyContainer, injectable } from 'tsyringe';
import { ConnectionLimiter } from '#signalbox/server/rate-limit.js';
import { defaultSettings } from '#signalbox/settings.js';
import { useServer } from '../dcrf/wire-support.js';
import { within } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';
import { RawClient, SocketClient, upgradeRequest } from '../support/sockets.js';

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

@Consumer()
class QuietConsumer extends ApiConsumer {}

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
        .to.throw(Throttled, 'There may be 100 connections of one address.')
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
      limits.enter('2001:db8::1');
      expect(() => limits.enter('2001:db8::2')).to.throw(Throttled);
      limits.enter('2001:db8:0:1::1');
    });

    it('take 20 connections of one user, and another one when one of them leaves', () => {
      const limits = limitsOf();
      const places = Array.from({ length: 21 }, () => limits.enter(undefined));
      for (const place of places.slice(0, 20)) place.takeFor('ann');
      expect(() => places[20]?.takeFor('ann'))
        .to.throw(Throttled, 'There may be 20 connections of one user.')
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

    async function open(limits: Partial<Limits>, options: { readonly container?: DependencyContainer } = {}) {
      const { app } = await serve([path('/', QuietConsumer)], {
        middleware: [Doorkeeper],
        settings: { limits },
        ...options,
      });
      const { port } = await app.listen({ host: '127.0.0.1' });
      return { app, port, url: `ws://127.0.0.1:${port}/` };
    }

    /** All that a server says to an upgrade that it refuses. */
    async function refused(port: number, url = '/'): Promise<string> {
      using raw = await RawClient.open(port);
      raw.write(upgradeRequest(url));
      await raw.hear('\r\n\r\n');
      return raw.hear('.\n');
    }

    it('refuses with 503, Retry-After and a sentence when it is full, before anybody is asked who he is', async () => {
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
      const { app } = await serve([path('/', QuietConsumer)], {
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
        .and.include('There may be 1 connections of one user.');
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
      const { container } = testProviders();
      const counters = new MemoryCounters();
      container.registerInstance(Counters as never, counters as never);
      const { port, url } = await open({ connections: 1 }, { container });
      await using _ = await SocketClient.open(url);
      await refused(port);
      expect(counters.count('signalbox.limits_reached', { limit: 'connections' })).to.equal(1);
    });

    it('answers 408 whoever takes too long to say what he wants', async () => {
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
