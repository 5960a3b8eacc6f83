import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { buildSync } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import type { App } from 'signalbox';
import { launchChromium, needsChromium } from '../support/chromium.js';
import { useDatabase } from '../support/database.js';
import { Room } from '../support/entities.js';
import { lastingPort } from '../support/ports.js';
import { createChat } from './chat.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** What the page keeps: its client, and what it was told. */
const script = `
  import { createClient, live } from 'signalbox/client';
  const client = createClient('ws://' + location.host + '/ws/chat/', { firstDelay: 20 });
  const told = [];
  client.$onStatus((status) => told.push(status));
  const messages = live(client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), {
    list: () => client.rooms.listMessages({ room: 1 }),
  });
  const texts = () => messages.getSnapshot().rows.map(({ text }) => text).join();
  Object.assign(globalThis, { client, told, texts });
`;

describe('The client in Chromium', () => {
  const database = useDatabase('client_browser');
  let browser: Browser;
  let code: string;
  let app: App;
  let http: Server;
  let page: Page;

  before(async function () {
    needsChromium(this);
    browser = await launchChromium();
    const bundled = buildSync({
      stdin: { contents: script, resolveDir: root },
      bundle: true,
      minify: true,
      format: 'esm',
      write: false,
    });
    code = bundled.outputFiles[0]?.text ?? '';
  });
  after(() => browser?.close());

  beforeEach(async function () {
    this.timeout(30_000);
    const em = database.orm.em.fork();
    em.create(Room, { name: 'red' });
    await em.flush();
    await serve(await lastingPort());
    page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${port()}/`);
  });
  afterEach(async () => {
    await page?.close();
    await stop();
  });

  const port = (): number => (http.address() as AddressInfo).port;

  async function serve(at: number): Promise<void> {
    http = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<!doctype html><script type="module">${code}</script>`);
    });
    app = createChat(database.orm);
    await app.attach(http);
    http.listen(at, '127.0.0.1');
    await once(http, 'listening');
  }

  async function stop(): Promise<void> {
    await app?.close();
    http?.closeAllConnections();
    http?.close();
  }

  const shows = (texts: string): Promise<unknown> => page.waitForFunction(`texts() === '${texts}'`);

  it('asks, is sent parts, follows a list, and goes on after a restart of the server', async function () {
    this.timeout(30_000);
    expect(await page.evaluate('client.rooms.retrieve({ pk: 1 })')).to.include({ name: 'red' });
    expect(await page.evaluate('client.rooms.retrieve({ pk: 9 }).catch(({ status }) => status)')).to.equal(404);
    const parts =
      '(async () => { let sum = 0; for await (const { left } of client.rooms.countdown({ from: 3 })) sum += left; return sum; })()';
    expect(await page.evaluate(parts)).to.equal(6);
    await page.evaluate(`client.rooms.createMessage({ room: 1, text: 'one' })`);
    await shows('one');
    const at = port();
    await stop();
    await page.waitForFunction(`told.includes('waiting')`);
    const waiting = page.evaluate(`client.rooms.createMessage({ room: 1, text: 'two' }).then(({ text }) => text)`);
    await serve(at);
    expect(await waiting).to.equal('two');
    await shows('one,two');
  });

  it('is told by the page that there is no network, and comes back at once when there is', async function () {
    this.timeout(30_000);
    await page.waitForFunction(`client.$status === 'open'`);
    const at = port();
    await page.context().setOffline(true);
    await stop();
    await page.waitForFunction(`client.$status === 'offline'`);
    await serve(at);
    await page.context().setOffline(false);
    await page.waitForFunction(`client.$status === 'open'`);
  });
});
