import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'chai';
import { putEmptyDatabase } from './support/prepared-database.js';
import { RunningApp } from './support/running-app.js';
import { TemporaryFolder } from './support/temporary-folder.js';
import { unique } from './support/unique.js';
import { Visitor } from './support/visitor.js';

/** A connection takes a file descriptor before its client has said a word. */
describe('sockets that say nothing to the app', function () {
  this.timeout(90_000);
  const folder = new TemporaryFolder();
  const silent: Socket[] = [];
  let app: RunningApp | undefined;

  before(async function () {
    if (process.platform === 'win32') return this.skip();
    await putEmptyDatabase(folder.path);
    const main = new URL('../src/main.js', import.meta.url).pathname;
    const command = ['sh', '-c', `ulimit -n 400; exec "${process.execPath}" "${main}"`] as const;
    app = new RunningApp({ DATA_FOLDER: folder.path }, { command: [...command] });
  });
  after(async () => {
    for (const socket of silent) socket.destroy();
    await app?.stop();
    folder.remove();
  });

  it('leave an app that may open 400 files usable: 450 of them from one address', async () => {
    const address = (await app?.address()) ?? '';
    const port = Number(new URL(address).port);
    for (let each = 0; each < 450; each += 1) {
      const socket = connect({ port, host: '127.0.0.1' });
      silent.push(socket.on('error', () => {}).resume());
      await once(socket, 'connect');
    }
    // Of their own address, too.
    const visitor = new Visitor(address);
    const body = { username: unique('ada'), password: 'correct horse battery' };
    expect(await visitor.post('/api/sign-up', body)).to.include({ status: 201 });
    expect((await fetch(`${address}/log-in`)).status).to.equal(200);
    await visitor.connect();
    expect(await visitor.request('list')).to.include({ response_status: 200 });
    visitor.disconnect();
  });
});
