import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  Action,
  ActionContext,
  ApiConsumer,
  type App,
  Clock,
  CloseCode,
  Consumer,
  type GivenSettings,
  path,
} from 'signalbox';
import type { ClientOptions } from 'ws';
import { selfSigned } from '../support/certificate.js';
import { until } from '../support/deadline.js';
import { NginxServer, needsNginx, nginxBlocks, placed } from '../support/nginx.js';
import { lastingPort } from '../support/ports.js';
import { testProviders } from '../support/providers.js';
import { useServer } from '../support/serving.js';
import { fullRefusalOf, refusalOf, SocketClient } from '../support/sockets.js';
import { TemporaryFolder } from '../support/temporary-folder.js';

@Consumer()
class TrackerConsumer extends ApiConsumer {
  @Action()
  async client({ scope: { remoteAddress, host, protocol } }: ActionContext) {
    return { remoteAddress, host, protocol };
  }
}

const site = 'tracker.example.org';
/** What a client may say of itself. */
const lies = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' };

/** A browser of this address with a page of the site. */
function from(localAddress: string, headers: Readonly<Record<string, string>> = {}): ClientOptions {
  const page = { host: site, origin: `https://${site}` };
  return { localAddress, rejectUnauthorized: false, headers: { ...page, ...headers } };
}

async function ask(client: SocketClient): Promise<unknown> {
  client.send({ action: 'client', request_id: 1 });
  return (await client.receive())['data'];
}

describe('nginx, configured as on the page', () => {
  const serve = useServer();
  const folder = new TemporaryFolder();
  let secure: number;
  let certificate: Readonly<Record<string, string>>;

  before(async function () {
    needsNginx(this);
    const [cert, key] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')];
    await Promise.all([writeFile(cert, selfSigned.cert), writeFile(key, selfSigned.key)]);
    certificate = {
      [`/etc/letsencrypt/live/${site}/fullchain.pem`]: cert,
      [`/etc/letsencrypt/live/${site}/privkey.pem`]: key,
    };
  });
  after(() => folder.remove());

  function application(settings: GivenSettings): App {
    const { container } = testProviders();
    // The time-outs of nginx go by it.
    container.registerInstance(Clock, new Clock());
    return serve([path('/ws/', TrackerConsumer)], { settings, container }).app;
  }

  async function listen(settings: GivenSettings): Promise<string> {
    return `127.0.0.1:${(await application(settings).listen({ host: '127.0.0.1' })).port}`;
  }

  describe('on one process', () => {
    /** The site of the page, before this application. */
    async function siteBefore(upstream: string, more: Readonly<Record<string, string>> = {}): Promise<string> {
      const [block = ''] = await nginxBlocks('docs/how-to/deploy.md');
      const plain = await lastingPort();
      secure = await lastingPort();
      const ports = {
        'listen 80;': `listen 127.0.0.1:${plain};`,
        'listen 443 ssl;': `listen 127.0.0.1:${secure} ssl;`,
      };
      return placed(block, { ...certificate, ...ports, '127.0.0.1:8000': upstream, ...more });
    }

    const url = (): string => `wss://127.0.0.1:${secure}/ws/`;

    it('passes on the address of the client, and nothing that the client claims itself', async () => {
      const upstream = await listen({ trustedProxies: ['127.0.0.1'] });
      await using _ = await NginxServer.start(await siteBefore(upstream));
      await using client = await SocketClient.open(url(), from('127.0.0.5', lies));
      expect(await ask(client)).to.deep.equal({ remoteAddress: '127.0.0.5', host: site, protocol: 'https' });
    });

    it('lets pages of the site connect, and no others', async () => {
      const upstream = await listen({ trustedProxies: ['127.0.0.1'] });
      await using _ = await NginxServer.start(await siteBefore(upstream));
      await using __ = await SocketClient.open(url(), from('127.0.0.5'));
      for (const origin of ['https://evil.example', `http://${site}`, `https://${site}:8443`])
        expect(await refusalOf(url(), from('127.0.0.5', { origin })), origin).to.include({ status: 403 });
    });

    it('has each client limited by its own address', async () => {
      const upstream = await listen({ trustedProxies: ['127.0.0.1'], limits: { connectionsPerAddress: 1 } });
      await using _ = await NginxServer.start(await siteBefore(upstream));
      await using __ = await SocketClient.open(url(), from('127.0.0.5'));
      await using ___ = await SocketClient.open(url(), from('127.0.0.6'));
      const { status, headers } = await fullRefusalOf(url(), from('127.0.0.5', lies));
      expect([status, headers['retry-after']]).to.deep.equal([429, '10']);
    });

    it('has all clients limited as one where the proxy is not trusted', async () => {
      const upstream = await listen({ limits: { connectionsPerAddress: 1 } });
      await using _ = await NginxServer.start(await siteBefore(upstream));
      await using client = await SocketClient.open(url(), from('127.0.0.5'));
      expect(await ask(client)).to.deep.equal({ remoteAddress: '127.0.0.1', host: site, protocol: 'http' });
      expect(await refusalOf(url(), from('127.0.0.6'))).to.include({ status: 429 });
    });

    it('reaches an application on a Unix socket, as on the page', async () => {
      const [, upstream = ''] = await nginxBlocks('docs/how-to/deploy.md');
      const [block = ''] = await nginxBlocks('docs/how-to/deploy.md');
      const [port = ''] = /^upstream [\s\S]*?^}\n/m.exec(block) ?? [];
      const file = join(folder.path, 'tracker.sock');
      await application({ trustedProxies: ['unix:'], limits: { connectionsPerAddress: 1 } }).listen({ path: file });
      const configuration = await siteBefore('127.0.0.1:8000');
      const overUnix = placed(placed(configuration, { [port]: upstream }), { '/run/tracker/tracker.sock': file });
      await using _ = await NginxServer.start(overUnix);
      await using client = await SocketClient.open(url(), from('127.0.0.5', lies));
      expect(await ask(client)).to.deep.equal({ remoteAddress: '127.0.0.5', host: site, protocol: 'https' });
      await using __ = await SocketClient.open(url(), from('127.0.0.6'));
      expect(await refusalOf(url(), from('127.0.0.5'))).to.include({ status: 429 });
    });

    it('cuts silent sockets after proxy_read_timeout, unless the heartbeat is shorter', async () => {
      const trustedProxies = ['127.0.0.1'];
      const beating = await listen({ trustedProxies, heartbeat: { interval: 250, timeLimit: 250 } });
      const seldom = await listen({ trustedProxies });
      await using _ = await NginxServer.start(await siteBefore(beating, { '75s': '1s' }));
      await using lives = await SocketClient.open(url(), from('127.0.0.5'));
      await using __ = await NginxServer.start(await siteBefore(seldom, { '75s': '1s' }));
      await using dies = await SocketClient.open(url(), from('127.0.0.5'));
      // It was opened later, so that the other one has been silent for longer.
      expect(await dies.closed).to.equal(1006);
      expect(await ask(lives)).to.include({ remoteAddress: '127.0.0.5' });
    });

    it('is told of another process by a reload: open sockets stay where they are', async () => {
      const trustedProxies = ['127.0.0.1'];
      const configuration = await siteBefore(await listen({ trustedProxies }));
      await using nginx = await NginxServer.start(configuration);
      await using before = await SocketClient.open(url(), from('127.0.0.5'));
      const next = await listen({ trustedProxies, limits: { connectionsPerAddress: 1 } });
      await nginx.reload(configuration.replace(/127\.0\.0\.1:\d+;\n {2}keepalive/, `${next};\n  keepalive`));
      await using after = await SocketClient.open(url(), from('127.0.0.5'));
      // The next process takes one of an address.
      expect(await refusalOf(url(), from('127.0.0.5'))).to.include({ status: 429 });
      for (const client of [before, after]) expect(await ask(client)).to.include({ remoteAddress: '127.0.0.5' });
    });
  });

  describe('before two processes', () => {
    it('hides from new clients that one of them leaves, and takes in those that it sends away', async () => {
      const [block = ''] = await nginxBlocks('docs/how-to/several-processes.md');
      const plain = await lastingPort();
      const settings = { trustedProxies: ['127.0.0.1'], drain: { delay: 0, spread: 1, retrySpread: 1 } };
      const apps = [application(settings), application(settings)];
      const [one = '', other = ''] = await Promise.all(
        apps.map(async (app) => `127.0.0.1:${(await app.listen({ host: '127.0.0.1' })).port}`),
      );
      const places = { 'listen 80;': `listen 127.0.0.1:${plain};`, '127.0.0.1:8001': one, '127.0.0.1:8002': other };
      await using _ = await NginxServer.start(placed(block, places));
      const open = (address: string) =>
        SocketClient.open(`ws://127.0.0.1:${plain}/ws/`, {
          localAddress: address,
          headers: { host: site, origin: `http://${site}` },
        });
      const clients = await Promise.all(Array.from({ length: 4 }, (_each, at) => open(`127.0.0.${5 + at}`)));
      let left = 0;
      for (const client of clients)
        void client.closed.then((code) => {
          left += code === CloseCode.restart ? 1 : 0;
        });
      await apps[0]?.drain();
      await until(() => left === 2, 'The farewell to half of the clients');
      for (let each = 0; each < 4; each += 1) {
        await using client = await open('127.0.0.9');
        expect(await ask(client)).to.deep.equal({ remoteAddress: '127.0.0.9', host: site, protocol: 'http' });
      }
      for (const client of clients) client.terminate();
    });
  });
});
