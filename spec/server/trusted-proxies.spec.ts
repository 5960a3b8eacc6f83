import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Action, ActionContext, ApiConsumer, Consumer, type GivenSettings, path } from 'signalbox';
import { networkOf, TrustedProxies } from '#signalbox/server/trusted-proxies.js';
import { useServer } from '../support/serving.js';
import { RawClient, refusalOf, SocketClient, upgradeRequest } from '../support/sockets.js';
import { TemporaryFolder } from '../support/temporary-folder.js';

function addressOf(proxies: readonly string[], remoteAddress: string, forwarded?: string | string[]) {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return new TrustedProxies(proxies).seenThrough({ url: '/', headers, remoteAddress }).remoteAddress;
}

@Consumer()
class AddressConsumer extends ApiConsumer {
  @Action()
  async address({ scope }: ActionContext) {
    return scope.remoteAddress;
  }

  @Action()
  async place({ scope: { protocol, host } }: ActionContext) {
    return `${protocol}://${host}`;
  }
}

describe('The address of a client', () => {
  it('is that of the socket, whatever the client writes, where no proxy is trusted', () => {
    expect(addressOf([], '203.0.113.9', '198.51.100.1')).to.equal('203.0.113.9');
    expect(addressOf(['10.0.0.1'], '203.0.113.9', '198.51.100.1')).to.equal('203.0.113.9');
  });

  const proxies = ['10.0.0.0/8', 'fd00::/8', '192.0.2.7'];
  const table: readonly [string, string, string | string[] | undefined, string][] = [
    ['what a trusted proxy says', '10.1.2.3', '203.0.113.9', '203.0.113.9'],
    ['that of the proxy, where it says nothing', '10.1.2.3', undefined, '10.1.2.3'],
    ['that of the proxy, where it says nonsense', '10.1.2.3', 'unknown', '10.1.2.3'],
    [
      'the last one that no trusted proxy added, whatever the client wrote before',
      '10.1.2.3',
      '1.1.1.1, 203.0.113.9',
      '203.0.113.9',
    ],
    ['found through several proxies', '10.1.2.3', '1.1.1.1, 203.0.113.9, 192.0.2.7, 10.9.9.9', '203.0.113.9'],
    ['found in several headers', '10.1.2.3', ['1.1.1.1, 203.0.113.9', '192.0.2.7'], '203.0.113.9'],
    ['the first, where all are proxies', '10.1.2.3', '10.0.0.5, 10.0.0.6', '10.0.0.5'],
    ['told behind an IPv4 proxy on an IPv6 socket', '::ffff:10.1.2.3', '::ffff:203.0.113.9', '203.0.113.9'],
    ['told with a port', '10.1.2.3', '203.0.113.9:4711', '203.0.113.9'],
    ['an IPv6 one', 'fd00::1', '[2001:db8::5]:4711', '2001:db8::5'],
  ];
  for (const [what, remoteAddress, forwarded, address] of table) {
    it(`is ${what}`, () => expect(addressOf(proxies, remoteAddress, forwarded)).to.equal(address));
  }

  it('counts as its /64 where it is IPv6', () => {
    expect(networkOf('203.0.113.9')).to.equal('203.0.113.9');
    for (const address of ['2001:db8:0:7::1', '2001:DB8::7:9:8:7:6', '2001:db8:0:7:ffff:ffff:ffff:ffff']) {
      expect(networkOf(address), address).to.equal('2001:db8:0:7::/64');
    }
    expect(networkOf('::1')).to.equal('0:0:0:0::/64');
    expect(networkOf('fe80::1%eth0')).to.equal('fe80:0:0:0::/64');
  });

  describe('over a real socket', () => {
    const serve = useServer();
    const headers = { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' };

    for (const [trustedProxies, address] of [
      [[], '127.0.0.1'],
      [['127.0.0.0/8'], '203.0.113.9'],
    ] as const) {
      it(`stands in the scope as ${address}, where ${trustedProxies.length} proxies are trusted`, async () => {
        const { app } = serve([path('/', AddressConsumer)], { settings: { trustedProxies } });
        const { port } = await app.listen({ host: '127.0.0.1' });
        await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`, { headers });
        client.send({ action: 'address', request_id: 1 });
        expect(await client.receive()).to.include({ data: address });
      });
    }
  });
});

/** Where a client of the proxy 10.1.2.3 went, of which the server knows the host 127.0.0.1:8000. */
function placeOf(
  proxies: readonly string[],
  forwarded: Readonly<Record<string, string | string[]>>,
  encrypted = false,
) {
  const headers = { host: '127.0.0.1:8000', ...forwarded };
  const seen = new TrustedProxies(proxies).seenThrough({ url: '/', headers, remoteAddress: '10.1.2.3', encrypted });
  return `${seen.encrypted ? 'https' : 'http'}://${seen.host}`;
}

describe('Host and protocol of a client', () => {
  const both = { 'x-forwarded-host': 'chat.example.org', 'x-forwarded-proto': 'https' };

  it('are those of the request, whatever it says, where no trusted proxy made it', () => {
    expect(placeOf([], both)).to.equal('http://127.0.0.1:8000');
    expect(placeOf(['203.0.113.9', 'unix:'], both)).to.equal('http://127.0.0.1:8000');
  });

  const table: readonly [string, Readonly<Record<string, string | string[]>>, string][] = [
    ['what the proxy says', both, 'https://chat.example.org'],
    ['the host with its port', { 'x-forwarded-host': 'chat.example.org:8443' }, 'http://chat.example.org:8443'],
    ['those of the request, where it says nothing', {}, 'http://127.0.0.1:8000'],
    [
      'those of the request, where it says nonsense',
      { 'x-forwarded-host': 'a b', 'x-forwarded-proto': 'gopher' },
      'http://127.0.0.1:8000',
    ],
    [
      'the last of several values, which the proxy itself wrote',
      { 'x-forwarded-host': 'evil.example, chat.example.org', 'x-forwarded-proto': ['http', 'https'] },
      'https://chat.example.org',
    ],
    ['https for an upgrade that is told as wss', { 'x-forwarded-proto': 'WSS' }, 'https://127.0.0.1:8000'],
  ];
  for (const [what, forwarded, place] of table) {
    it(`are ${what}`, () => expect(placeOf(['10.0.0.0/8'], forwarded)).to.equal(place));
  }

  it('are http where the proxy says so, also where the proxy itself comes over TLS', () => {
    expect(placeOf([], {}, true)).to.equal('https://127.0.0.1:8000');
    expect(placeOf(['10.0.0.0/8'], { 'x-forwarded-proto': 'http' }, true)).to.equal('http://127.0.0.1:8000');
  });

  describe('over a real socket', () => {
    const serve = useServer();
    const routes = [path('/', AddressConsumer)];
    const headers = { ...both, origin: 'https://chat.example.org' };

    async function open(trustedProxies: readonly string[]): Promise<number> {
      return (await serve(routes, { settings: { trustedProxies } }).app.listen({ host: '127.0.0.1' })).port;
    }

    it('stand in the scope, and a page of that host may connect', async () => {
      const port = await open(['127.0.0.1']);
      await using client = await SocketClient.open(`ws://127.0.0.1:${port}/`, { headers });
      client.send({ action: 'place', request_id: 1 });
      expect(await client.receive()).to.include({ data: 'https://chat.example.org' });
    });

    it('let a page without TLS not connect where the client of the proxy came over TLS', async () => {
      const port = await open(['127.0.0.1']);
      const unsafe = { ...headers, origin: 'http://chat.example.org' };
      expect(await refusalOf(`ws://127.0.0.1:${port}/`, { headers: unsafe })).to.include({ status: 403 });
    });

    it('let a page of that host not connect where the proxy is not trusted', async () => {
      const port = await open([]);
      expect(await refusalOf(`ws://127.0.0.1:${port}/`, { headers })).to.include({ status: 403 });
    });

    for (const host of [undefined, 'a b', 'user@chat.example.org']) {
      it(`have to be named: an upgrade with the Host header ${host} is answered 400`, async () => {
        const port = await open([]);
        using client = await RawClient.open(port);
        client.write(upgradeRequest('/', { Host: host }));
        const answer = await client.hear('no host.');
        expect(answer).to.match(/^HTTP\/1.1 400 Bad Request\r\n/);
        expect(answer).to.include('\r\n\r\nName the host: the Host header is missing, or no host.\n');
        await using next = await SocketClient.open(`ws://127.0.0.1:${port}/`);
        next.send({ action: 'place', request_id: 1 });
        expect(await next.receive()).to.include({ data: `http://127.0.0.1:${port}` });
      });
    }
  });
});

describe('A client of a Unix socket', () => {
  const serve = useServer();
  const headers = {
    'x-forwarded-for': '203.0.113.9',
    'x-forwarded-host': 'chat.example.org',
    'x-forwarded-proto': 'https',
  };
  let folder: TemporaryFolder;

  beforeEach(() => {
    folder = new TemporaryFolder();
  });
  afterEach(() => folder.remove());

  async function open(settings: GivenSettings = {}): Promise<string> {
    const { app } = serve([path('/', AddressConsumer)], { settings });
    const file = join(folder.path, 'app.sock');
    expect(await app.listen({ path: file })).to.deep.equal({ address: file, family: 'unix', port: 0 });
    return `ws+unix://${file}:/`;
  }

  async function ask(client: SocketClient, action: string): Promise<unknown> {
    client.send({ action, request_id: 1 });
    return (await client.receive())['data'];
  }

  it('has the address unix:, and is not believed', async () => {
    await using client = await SocketClient.open(await open(), { headers });
    expect(await ask(client, 'address')).to.equal('unix:');
    expect(await ask(client, 'place')).to.equal('http://localhost');
  });

  it('is believed where unix: is a trusted proxy', async () => {
    await using client = await SocketClient.open(await open({ trustedProxies: ['unix:'] }), { headers });
    expect(await ask(client, 'address')).to.equal('203.0.113.9');
    expect(await ask(client, 'place')).to.equal('https://chat.example.org');
  });

  it('is one address with all others of its kind for limits, unless it is trusted', async () => {
    const url = await open({ limits: { connectionsPerAddress: 1 } });
    await using _ = await SocketClient.open(url, { headers });
    expect(await refusalOf(url, { headers: { 'x-forwarded-for': '203.0.113.10' } })).to.include({ status: 429 });
  });

  it('counts by the address that a trusted proxy tells', async () => {
    const url = await open({ limits: { connectionsPerAddress: 1 }, trustedProxies: ['unix:'] });
    await using _ = await SocketClient.open(url, { headers });
    await using other = await SocketClient.open(url, { headers: { 'x-forwarded-for': '203.0.113.10' } });
    expect(await ask(other, 'address')).to.equal('203.0.113.10');
    expect(await refusalOf(url, { headers })).to.include({ status: 429 });
  });

  it('finds the socket of a process that was killed replaced, and one that is in use left alone', async () => {
    const file = join(folder.path, 'app.sock');
    const left = `require('node:net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await once(spawn(process.execPath, ['-e', left]), 'exit');
    expect(statSync(file).isSocket()).to.equal(true);
    await using client = await SocketClient.open(await open());
    expect(await ask(client, 'address')).to.equal('unix:');
    const { app } = serve([path('/', AddressConsumer)]);
    const taken = await app.listen({ path: file }).catch(({ message }: Error) => message);
    expect(taken).to.equal(
      `Another program listens on ${file}, or the file is no socket. Stop that program, or listen on another path: app.listen({ path }).`,
    );
  });

  it('never replaces a file that is no socket', async () => {
    const file = join(folder.path, 'app.sock');
    writeFileSync(file, 'mine');
    const { app } = serve([path('/', AddressConsumer)]);
    const taken = await app.listen({ path: file }).catch(({ code }: NodeJS.ErrnoException) => code);
    expect([taken, readFileSync(file, 'utf8')]).to.deep.equal(['EADDRINUSE', 'mine']);
  });
});
