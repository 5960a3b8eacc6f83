import http, { createServer, Server } from 'node:http';
import { expect } from 'chai';
import { Action, ApiConsumer, type App, Consumer, type GivenSettings, path } from 'signalbox';
import { listening } from '../support/ports.js';
import { SilentConsumer, useServer } from '../support/serving.js';
import { refusalOf, SocketClient } from '../support/sockets.js';

describe('The server of listen', () => {
  const serve = useServer();

  /** The server that `listen` made, and what it was told to listen on. */
  async function served(limits: NonNullable<GivenSettings['limits']>): Promise<{ server: Server; asked: unknown[] }> {
    const { app } = serve([path('/', SilentConsumer)], { settings: { limits } });
    const { listen } = Server.prototype;
    const listened: { server: Server; asked: unknown[] }[] = [];
    Server.prototype.listen = function (this: Server, ...asked: unknown[]) {
      listened.push({ server: this, asked });
      return listen.apply(this, asked as [number]);
    };
    try {
      await app.listen({ host: '127.0.0.1' });
    } finally {
      Server.prototype.listen = listen;
    }
    await app.close();
    const [one] = listened;
    if (!one) throw new Error('Nothing listens.');
    return one;
  }

  const timesOf = async (limits: NonNullable<GivenSettings['limits']>) => {
    const { headersTimeout, requestTimeout } = (await served(limits)).server;
    return { headersTimeout, requestTimeout };
  };

  it('waits 10 s for headers and 15 s for a request', async () => {
    expect(http.createServer().headersTimeout).to.equal(60_000);
    expect(await timesOf({})).to.deep.equal({ headersTimeout: 10_000, requestTimeout: 15_000 });
  });

  it('waits as long as its settings say, and for a request no shorter than for its headers', async () => {
    expect(await timesOf({ headersTime: 3_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 3_000,
      requestTimeout: 4_000,
    });
    expect(await timesOf({ headersTime: 5_000, requestTime: 4_000 })).to.deep.equal({
      headersTimeout: 5_000,
      requestTimeout: 5_000,
    });
  });

  it('lets 4 096 sockets wait to be accepted, so that all clients of a server that is gone may come at once', async () => {
    const { asked } = await served({});
    expect(asked[0]).to.deep.equal({ port: 0, host: '127.0.0.1', backlog: 4_096 });
  });
});

@Consumer()
class NameConsumer extends ApiConsumer {
  @Action()
  async path() {
    return this.scope.path;
  }
}

describe('Two applications on one HTTP server', () => {
  const serve = useServer();
  let server: Server;
  let apps: App[];
  let at: string;

  beforeEach(async () => {
    server = createServer();
    apps = ['/ws/one/', '/ws/two/'].map((route) => serve([path(route, NameConsumer)]).app);
    for (const app of apps) await app.attach(server);
    at = `ws://127.0.0.1:${await listening(server)}`;
  });

  afterEach(() => void server.close());

  it('answer for the paths of their own', async () => {
    for (const route of ['/ws/one/', '/ws/two/']) {
      await using client = await SocketClient.open(`${at}${route}`);
      client.send({ action: 'path', request_id: 1 });
      expect((await client.receive())['data']).to.equal(route);
    }
  });

  it('answer 404 once for a path that neither serves', async () => {
    expect(await refusalOf(`${at}/ws/three/`)).to.include({ status: 404 });
  });

  it('answer 404 once for it also after the first of them closed', async () => {
    await apps[0]?.close();
    expect(await refusalOf(`${at}/ws/one/`)).to.include({ status: 404 });
  });
});
