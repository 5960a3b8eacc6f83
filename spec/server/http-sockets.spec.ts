import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createSecureServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { connect as connectSecure } from 'node:tls';
import { expect } from 'chai';
import { Action, ApiConsumer, type AttachOptions, Consumer, type GivenSettings, Overloaded, path } from 'signalbox';
import { MemoryCounters, MemoryLogger, TestClock } from 'signalbox/testing';
import { HttpSockets, roomFor } from '#signalbox/server/http-sockets.js';
import { TrustedProxies } from '#signalbox/server/trusted-proxies.js';
import { defaultSettings } from '#signalbox/settings.js';
import { selfSigned } from '../support/certificate.js';
import { until, within } from '../support/deadline.js';
import { listening } from '../support/ports.js';
import { useServer } from '../support/serving.js';
import { RawClient, SocketClient, upgradeRequest } from '../support/sockets.js';

@Consumer()
class QuietConsumer extends ApiConsumer {
  @Action()
  async hello() {
    return 'hello';
  }
}

const whole = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** Answers what it is asked for; `/slow` only begins to. */
const answer: RequestListener = ({ url }, response) =>
  url === '/slow' ? response.flushHeaders() : void response.end(`answered ${url}`);

describe('Sockets that ask for nothing', () => {
  const serve = useServer();
  const opened: Socket[] = [];
  const servers: Server[] = [];
  let counters: MemoryCounters;
  let logger: MemoryLogger;
  let clock: TestClock;

  afterEach(() => {
    for (const socket of opened.splice(0)) socket.destroy();
    for (const server of servers.splice(0)) server.close();
  });

  function application(settings: GivenSettings = {}) {
    const served = serve([path('/', QuietConsumer)], { settings });
    ({ counters, logger, clock } = served);
    return served.app;
  }

  async function listen(settings: GivenSettings = {}): Promise<number> {
    return (await application(settings).listen({ host: '127.0.0.1' })).port;
  }

  /** The application on a server of the caller's. */
  async function attach(
    settings: GivenSettings = {},
    server: Server = createServer(answer),
    options?: AttachOptions,
  ): Promise<number> {
    servers.push(server);
    await application(settings).attach(server, options);
    return listening(server);
  }

  const cut = (limit = 'address_sockets'): number => counters.count('signalbox.limits_reached', { limit });

  /** Resolves once it is connected. */
  async function silent(port: number, localAddress = '127.0.0.1'): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    opened.push(socket.on('error', () => {}).resume());
    await once(socket, 'connect');
    return socket;
  }

  async function several(count: number, open: () => Promise<Socket>): Promise<Socket[]> {
    const sockets: Socket[] = [];
    for (let each = 0; each < count; each += 1) sockets.push(await open());
    return sockets;
  }

  const ends = (sockets: readonly Socket[]): Promise<unknown> =>
    within(Promise.all(sockets.map((socket) => socket.closed || once(socket, 'close'))), 'The end of the sockets');

  async function expectServed(port: number, localAddress?: string): Promise<void> {
    await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`, localAddress ? { localAddress } : {});
    client.send({ action: 'hello', request_id: 1 });
    expect(await client.receive()).to.include({ data: 'hello' });
  }

  for (const [where, open] of [
    ['by listen', listen],
    ['on a server of the application', attach],
  ] as const) {
    describe(where, () => {
      it('are at most 100 of one address: those that have waited longest are cut, and counted', async () => {
        const port = await open();
        const sockets = await several(103, () => silent(port));
        await ends(sockets.slice(0, 3));
        expect(cut()).to.equal(3);
        expect(sockets.filter(({ closed }) => closed)).to.have.length(3);
      });

      it('keep out neither a client of their own address nor one of another', async () => {
        const port = await open({ limits: { socketsPerAddress: 2, connectionsPerAddress: 2 } });
        const [first] = await several(2, () => silent(port));
        await expectServed(port, '127.0.0.2');
        expect(cut()).to.equal(0);
        await expectServed(port);
        await ends([first as Socket]);
        expect(cut()).to.equal(1);
      });

      it('are limited for all addresses together', async () => {
        const port = await open({ limits: { sockets: 2 } });
        const first = await silent(port, '127.0.0.1');
        await silent(port, '127.0.0.2');
        await silent(port, '127.0.0.3');
        await ends([first]);
        expect(cut('sockets')).to.equal(1);
        await expectServed(port, '127.0.0.4');
      });

      it('count no more once they ask for an upgrade, and once they are gone', async () => {
        const port = await open({ limits: { socketsPerAddress: 1, connectionsPerAddress: 1 } });
        using first = await RawClient.open(port);
        first.write(upgradeRequest('/'));
        await first.hear('101');
        const second = await silent(port);
        second.write('nonsense\r\n\r\n');
        await ends([second]);
        using third = await RawClient.open(port);
        third.write(upgradeRequest('/'));
        await third.hear('429');
        expect(cut()).to.equal(0);
      });

      it('may be as many as connections of their address', async () => {
        const port = await open({ limits: { socketsPerAddress: 1, connectionsPerAddress: 5 } });
        const [first] = await several(6, () => silent(port));
        await ends([first as Socket]);
        expect(cut()).to.equal(1);
      });

      it('are not counted where they come from a trusted proxy', async () => {
        const limits = { socketsPerAddress: 1, connectionsPerAddress: 1, sockets: 1 };
        const port = await open({ limits, trustedProxies: ['127.0.0.1'] });
        await several(5, () => silent(port));
        await expectServed(port);
        expect([cut(), cut('sockets')]).to.deep.equal([0, 0]);
      });

      it('have one line a second in the log, which says what would have to change', async () => {
        const port = await open({ limits: { socketsPerAddress: 1, connectionsPerAddress: 1 } });
        await ends((await several(4, () => silent(port))).slice(0, 3));
        const told = () =>
          logger.entries.filter(({ message }) => message === 'A socket without an open request was closed.');
        expect(told().map(({ fields }) => fields)).to.deep.equal([
          {
            limit: 'address_sockets',
            address: '127.0.0.1',
            remedy:
              'Raise settings.limits.socketsPerAddress, or name the address in settings.trustedProxies if it is a proxy.',
          },
        ]);
        clock.stand(1_000);
        await silent(port);
        await ends(opened.slice(0, 4));
        expect(told()).to.have.length(2);
      });
    });
  }

  it('hold up no client: of 5,000 all but 100 are cut, and a client of another address is served in the midst of them', async function () {
    this.timeout(60_000);
    const port = await listen({ limits: { headersTime: 60_000 } });
    const flood: Socket[] = [];
    for (let batch = 0; batch < 10; batch += 1) {
      const coming = Promise.all(Array.from({ length: 500 }, () => silent(port)));
      await expectServed(port, '127.0.0.2');
      flood.push(...(await coming));
    }
    const kept = () => flood.filter(({ closed }) => !closed).length;
    await until(() => kept() <= 100, 'The end of 4,900 sockets');
    expect([cut(), kept()]).to.deep.equal([4_900, 100]);
    await expectServed(port, '127.0.0.2');
  });

  describe('on a server of the application', () => {
    const one = { limits: { socketsPerAddress: 1, connectionsPerAddress: 1 } };

    it('are not those whose request is being answered', async () => {
      const port = await attach(one);
      using busy = await RawClient.open(port);
      busy.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
      await busy.hear('200');
      using other = await RawClient.open(port);
      other.write(whole);
      await other.hear('answered /');
      const [first] = await several(2, () => silent(port));
      await ends([first as Socket]);
      expect([other.socket.readableEnded, busy.socket.destroyed]).to.deep.equal([true, false]);
      expect(cut()).to.equal(2);
    });

    it('are those that stay open behind an answer, too, and those whose body never ends', async () => {
      const port = await attach(one);
      using kept = await RawClient.open(port);
      kept.write(whole);
      await kept.hear('answered /');
      using endless = await RawClient.open(port);
      endless.write('POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n');
      await within(once(kept.socket, 'end'), 'The end of the one that was kept');
      await silent(port);
      await within(once(endless.socket, 'end'), 'The end of the one with a body');
      expect(cut()).to.equal(2);
    });

    it('may be any number where the application says so', async () => {
      const server = createServer(answer);
      const port = await attach(one, server, { limitSockets: false });
      await several(5, () => silent(port));
      expect(cut()).to.equal(0);
      expect(server.headersTimeout).to.equal(60_000);
    });

    it('wait 10 s for headers, and as long as the server says where it says so; bodies are its own business', async () => {
      for (const [headersTimeout, chosen] of [
        [undefined, 10_000],
        [20_000, 20_000],
      ] as const) {
        const server = createServer(headersTimeout === undefined ? {} : { headersTimeout }, answer);
        await attach({}, server);
        expect([server.headersTimeout, server.requestTimeout]).to.deep.equal([chosen, 300_000]);
      }
    });

    it('are limited before and behind the handshake of TLS', async () => {
      const server = createSecureServer(selfSigned, answer);
      const port = await attach(one, server);
      const first = await silent(port);
      const secure = connectSecure({ port, host: '127.0.0.1', rejectUnauthorized: false });
      opened.push(secure.on('error', () => {}).resume());
      await once(secure, 'secureConnect');
      await ends([first]);
      secure.write(upgradeRequest('/'));
      await within(once(secure, 'data'), 'The answer');
      await silent(port);
      expect([cut(), secure.closed]).to.deep.equal([1, false]);
    });

    it('are not watched for on a server of HTTP/2, and the log says so', async () => {
      await application().attach(createHttp2Server());
      expect(logger.at('warn').map(({ message }) => message)).to.deep.equal([
        'The sockets of this HTTP server have no limits before their handshake: it is neither of node:http nor of node:https.',
      ]);
    });
  });
});

describe('File descriptors', () => {
  const { limits } = defaultSettings;

  it('are left to the database and to files: 64 by default, and of the rest 1,000, or a quarter, to sockets that are no connections', () => {
    expect(roomFor(limits, 400)).to.deep.equal({ sockets: 336, connections: 252 });
    expect(roomFor({ ...limits, freeDescriptors: 200 }, 400)).to.deep.equal({ sockets: 200, connections: 150 });
    expect(roomFor(limits, 20_000)).to.deep.equal({ sockets: 19_936, connections: 18_936 });
  });

  it('let a few clients connect, however few there are', () => {
    expect(roomFor(limits, 20)).to.deep.equal({ sockets: 16, connections: 12 });
  });

  describe('of a process that may open few', () => {
    const server = createServer();
    const clients: Socket[] = [];
    let port: number;
    let counters: MemoryCounters;
    let sockets: HttpSockets;
    let unwatch: (() => void) | undefined;

    beforeEach(async () => {
      counters = new MemoryCounters();
      // Beside 80 for other things and the 64 that are left free, 40 are for sockets.
      const descriptors = { limit: 184, count: () => 80 };
      const given = { ...limits, freeDescriptors: 64, sockets: 1_000 };
      sockets = new HttpSockets(
        given,
        descriptors,
        new TrustedProxies([]),
        new TestClock(),
        counters,
        new MemoryLogger(),
      );
      unwatch = sockets.watch(server, true);
      port = await listening(server);
    });
    afterEach(() => {
      for (const client of clients.splice(0)) client.destroy();
      unwatch?.();
      server.close();
    });

    async function connected(): Promise<{ client: Socket; served: Socket }> {
      const client = connect({ port, host: '127.0.0.1' });
      clients.push(client.on('error', () => {}).resume());
      const [served] = (await within(once(server, 'connection'), 'The connection')) as [Socket];
      return { client, served };
    }

    it('are taken from the socket that has waited longest', async () => {
      const { client } = await connected();
      for (let each = 0; each < 40; each += 1) await connected();
      await until(() => client.closed, 'The end of the first');
      expect(counters.count('signalbox.limits_reached', { limit: 'descriptors' })).to.equal(1);
    });

    it('are not taken from connections, which are answered 503 before the last ones', async () => {
      const upgraded = async (): Promise<Socket> => {
        const { served } = await connected();
        sockets.upgraded(served);
        return served;
      };
      for (let each = 0; each < 29; each += 1) await upgraded();
      sockets.checkRoom(await upgraded());
      const last = await upgraded();
      expect(() => sockets.checkRoom(last)).to.throw(Overloaded);
      expect(clients.filter(({ closed }) => closed)).to.deep.equal([]);
    });
  });
});

describe('The client of a plain request', () => {
  const serve = useServer();
  const request = {
    url: '/',
    headers: { host: '127.0.0.1:8000', 'x-forwarded-for': '2001:db8:0:7::9', 'x-forwarded-proto': 'https' },
    socket: { remoteAddress: '::ffff:10.1.2.3' },
  };

  it('is the peer of the socket where no proxy is trusted', () => {
    const { app } = serve([path('/', QuietConsumer)]);
    expect(app.clientOf(request)).to.deep.equal({
      address: '10.1.2.3',
      network: '10.1.2.3',
      host: '127.0.0.1:8000',
      protocol: 'http',
    });
  });

  it('is what a trusted proxy tells', () => {
    const { app } = serve([path('/', QuietConsumer)], { settings: { trustedProxies: ['10.0.0.0/8'] } });
    expect(app.clientOf(request)).to.deep.equal({
      address: '2001:db8:0:7::9',
      network: '2001:db8:0:7::/64',
      host: '127.0.0.1:8000',
      protocol: 'https',
    });
  });
});
