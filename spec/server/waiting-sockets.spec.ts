import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { ApiConsumer, Consumer, Counters, type GivenSettings, path } from 'signalbox';
import { MemoryCounters } from 'signalbox/testing';
import { useServer } from '../dcrf/wire-support.js';
import { within } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';
import { RawClient, SocketClient, upgradeRequest } from '../support/sockets.js';

@Consumer()
class QuietConsumer extends ApiConsumer {}

describe('Sockets that ask for nothing', () => {
  const serve = useServer();
  const silent: Socket[] = [];
  let counters: MemoryCounters;

  afterEach(() => {
    for (const socket of silent.splice(0)) socket.destroy();
  });

  async function open(settings: GivenSettings = {}): Promise<number> {
    const { container } = testProviders();
    counters = new MemoryCounters();
    container.registerInstance(Counters, counters);
    const { app } = await serve([path('/', QuietConsumer)], { container, settings });
    return (await app.listen({ host: '127.0.0.1' })).port;
  }

  const cut = (): number => counters.count('signalbox.limits_reached', { limit: 'address_sockets' });

  /** Resolves once all have connected, and so many of them were cut. */
  async function openSilent(port: number, count: number, expectedCuts: number): Promise<void> {
    const sockets = Array.from({ length: count }, () => connect({ port, host: '127.0.0.1' }));
    silent.push(...sockets);
    const ends = sockets.map((socket) => once(socket.on('error', () => {}).resume(), 'close'));
    let ended = 0;
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const end of ends) void end.then(() => ++ended === expectedCuts && resolve());
    await Promise.all(sockets.map((socket) => once(socket, 'connect').catch(() => {})));
    if (expectedCuts > 0) await within(promise, 'The end of the sockets');
  }

  it('are at most 100 of one address; those above are cut, and counted', async () => {
    const port = await open();
    await openSilent(port, 103, 3);
    expect(cut()).to.equal(3);
    expect(silent.filter(({ readyState }) => readyState === 'open')).to.have.length(100);
  });

  it('hold up nobody of another address: after 5,000 of them a client shakes hands as fast as before', async function () {
    this.timeout(60_000);
    const port = await open({ limits: { headersTime: 60_000 } });
    const before = await fastestHandshake(port);
    for (let batch = 0; batch < 10; batch += 1) await openSilent(port, 500, batch === 0 ? 400 : 500);
    expect(cut()).to.equal(4_900);
    // The fastest of several is what the work takes, however busy the machine is. One takes about a millisecond.
    expect(await fastestHandshake(port)).to.be.below(10 * before);
  });

  async function fastestHandshake(port: number): Promise<number> {
    const times: number[] = [];
    for (let each = 0; each < 10; each += 1) {
      const begun = performance.now();
      await using _ = await SocketClient.open(`ws://127.0.0.1:${port}/`, { localAddress: '127.0.0.2' });
      times.push(performance.now() - begun);
    }
    return Math.min(...times);
  }

  it('count no more once they ask for an upgrade, and once they are gone', async () => {
    const port = await open({ limits: { socketsPerAddress: 1, connectionsPerAddress: 1 } });
    using first = await RawClient.open(port);
    await openSilent(port, 1, 1);
    first.write(upgradeRequest('/'));
    await first.hear('101');
    using second = await RawClient.open(port);
    second.write('GET /livez HTTP/1.1\r\nHost: a\r\n\r\n');
    await second.hear('200');
    await openSilent(port, 1, 1);
    second.write('nonsense\r\n\r\n');
    await within(once(second.socket, 'end'), 'The end of the plain client');
    using third = await RawClient.open(port);
    third.write(upgradeRequest('/'));
    await third.hear('429');
    expect(cut()).to.equal(2);
  });

  it('may be as many as connections of their address', async () => {
    const port = await open({ limits: { socketsPerAddress: 1, connectionsPerAddress: 5 } });
    await openSilent(port, 6, 1);
    expect(cut()).to.equal(1);
  });

  it('are not counted where they come from a trusted proxy', async () => {
    const port = await open({
      limits: { socketsPerAddress: 1, connectionsPerAddress: 1 },
      trustedProxies: ['127.0.0.1'],
    });
    await openSilent(port, 10, 0);
    const headers = { 'x-forwarded-for': '203.0.113.1' };
    await using _ = await SocketClient.open(`ws://127.0.0.1:${port}/`, { headers });
    expect(cut()).to.equal(0);
  });
});
