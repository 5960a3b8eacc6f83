import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { RunningApp } from './support/running-app.js';
import { TemporaryFolder } from './support/temporary-folder.js';
import { unique } from './support/unique.js';
import { Visitor } from './support/visitor.js';

/** A connection takes a file descriptor before its client sends anything. Only Linux has the addresses beyond the first one. */
describe('sockets that say nothing to the app', function () {
  this.timeout(90_000);
  const folder = new TemporaryFolder();
  const silent: Socket[] = [];
  let app: RunningApp | undefined;

  before(async function () {
    if (process.platform !== 'linux') return this.skip();
    const main = new URL('../src/main.js', import.meta.url).pathname;
    const command = ['sh', '-c', `ulimit -n 400; exec "${process.execPath}" "${main}"`] as const;
    app = new RunningApp({ DATA_FOLDER: folder.path }, { command: [...command] });
  });
  afterEach(() => {
    for (const socket of silent.splice(0)) socket.destroy();
  });
  after(async () => {
    await app?.stop();
    folder.remove();
  });

  const floods: Readonly<Record<string, [addresses: number, text: string]>> = {
    '450 of them from one address': [1, ''],
    '450 of them from ten addresses': [10, ''],
    '450 that never send the rest of a log-in': [
      10,
      'POST /api/log-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    ],
  };
  for (const [which, [addresses, text]] of Object.entries(floods)) {
    it(`leave an app that may open 400 files usable: ${which}`, async () => {
      const address = (await app?.address()) ?? '';
      const port = Number(new URL(address).port);
      for (let each = 0; each < 450; each += 1) {
        const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${1 + (each % addresses)}` });
        silent.push(socket.on('error', () => {}).resume());
        await once(socket, 'connect');
        socket.write(text);
      }
      // Also a visitor from the address of the silent sockets.
      const visitor = new Visitor(address);
      const body = { username: unique('ada'), password: 'correct horse battery' };
      expect(await visitor.post('/api/sign-up', body)).to.include({ status: 201 });
      expect((await fetch(`${address}/log-in`)).status).to.equal(200);
      await visitor.connect();
      expect(await visitor.request('list')).to.include({ response_status: 200 });
      visitor.disconnect();
    });
  }
});
