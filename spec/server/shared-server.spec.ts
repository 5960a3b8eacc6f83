import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Action, ApiConsumer, type App, Consumer, createApp, path } from 'signalbox';
import { offlineOrm } from '../support/offline-orm.js';
import { refusalOf, SocketClient } from '../support/sockets.js';

@Consumer()
class NameConsumer extends ApiConsumer {
  @Action()
  async path() {
    return this.scope.path;
  }
}

describe('Two applications on one HTTP server', () => {
  let server: Server;
  let apps: App[];
  let at: string;

  beforeEach(async () => {
    server = createServer();
    apps = [];
    for (const route of ['/ws/one/', '/ws/two/']) {
      const app = createApp({ orm: await offlineOrm(), routes: [path(route, NameConsumer)] });
      await app.attach(server);
      apps.push(app as App);
    }
    await once(server.listen(0, '127.0.0.1'), 'listening');
    at = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    for (const app of apps) await app.close();
    server.close();
  });

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
