import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect } from 'chai';
import { type Program, RunningApp } from './support/running-app.js';
import { TemporaryFolder } from './support/temporary-folder.js';
import { Visitor } from './support/visitor.js';

const TIME_FOR_PROCESSES = 120_000;

/**
 * One story on one folder, whose first start was interrupted: it is opened, refused to a second process, killed, opened again,
 * and closed.
 */
describe('main.js', function () {
  this.timeout(TIME_FOR_PROCESSES);

  const passwords = {
    ada: 'Pa55word-of-Ada!',
    wrong: 'Wr0ng-password-of-Ada!',
    short: 'Sh0rt-1',
    grace: 'Pa55word-of-Grace!',
  };
  let folder: TemporaryFolder;
  let app: RunningApp;
  const apps: RunningApp[] = [];
  const visitors: Visitor[] = [];

  function start(env: Readonly<Record<string, string>> = {}, program: Program = {}): RunningApp {
    const started = new RunningApp({ DATA_FOLDER: folder.path, ...env }, program);
    apps.push(started);
    return started;
  }

  /** Makes the files that a process leaves if it is killed while its first start writes the files of the database. */
  function cutOff(dataFolder: string): void {
    mkdirSync(join(dataFolder, 'pglite/global'), { recursive: true });
    writeFileSync(join(dataFolder, 'pglite/global/pg_control'), 'cut off');
  }

  async function visit(): Promise<Visitor> {
    const visitor = new Visitor(await app.address());
    visitors.push(visitor);
    return visitor;
  }

  before(async () => {
    folder = new TemporaryFolder();
    cutOff(folder.path);
    app = start({ TZ: 'Asia/Tokyo' });
  });
  after(async () => {
    await Promise.all(apps.map((started) => started.stop('SIGKILL')));
    folder.remove();
  });

  it('prints each step, the address to open and how to stop', async () => {
    const address = await app.address();
    expect(app.output.split('\n').filter(Boolean)).to.deep.equal([
      `Opening the database in ${folder.path}`,
      'Applying migrations',
      'Applied 0001-create-accounts, 0002-create-rooms, 0003-add-private-rooms, 0004-add-visits',
      `Listening. Open ${address} in your browser; stop with Ctrl+C.`,
    ]);
  });

  it('loads the files of an empty database: those that PGlite makes have the time zone of the machine', () => {
    const settings = readFileSync(join(folder.path, 'pglite/postgresql.conf'), 'utf8');
    expect(settings.match(/^timezone = .*/m)?.[0]).to.equal("timezone = 'Etc/GMT0'");
  });

  it('refuses the folder to a second process in one sentence', async () => {
    const second = start();
    expect(await second.ended()).to.equal(1);
    expect(second.output.trim().split('\n').at(-1)).to.equal(
      `The folder ${folder.path} is in use by process ${app.pid}: stop that one first, or choose another folder with DATA_FOLDER.`,
    );
  });

  it('serves accounts and rooms, whatever is sent', async () => {
    const ada = await visit();
    expect((await ada.post('/api/sign-up', { username: 'ada', password: passwords.short })).status).to.equal(400);
    expect((await ada.post('/api/sign-up', { username: 'ada', password: passwords.ada })).status).to.equal(201);
    expect((await ada.post('/api/sign-up', { username: 'ada', password: passwords.ada })).status).to.equal(400);
    expect((await ada.post('/api/log-in', { username: 'ada', password: passwords.wrong })).status).to.equal(401);
    expect((await ada.post('/api/log-in', `{"username": "ada", "password": "${passwords.ada}"`)).status).to.equal(400);
    expect((await ada.post('/api/log-in', { username: 'ada', password: passwords.ada })).status).to.equal(200);
    await ada.connect();
    expect((await ada.request('create', { data: { name: 'Platform two' } })).response_status).to.equal(201);
    expect((await ada.request('nonsense', { password: passwords.ada })).response_status).to.equal(405);
    expect((await ada.request('create_message', { text: 1, password: passwords.ada })).response_status).to.equal(400);
    expect((await ada.request('create', { data: { password: passwords.ada } })).response_status).to.equal(400);
    ada.disconnect();
  });

  it('keeps every message that it confirmed when it is killed in the middle of writes', async () => {
    const grace = await visit();
    await grace.post('/api/sign-up', { username: 'grace', password: passwords.grace });
    await grace.connect();
    await grace.request('join_room', { pk: 1 });
    const confirmed = await writeUntilKilled(grace, 25);

    app = start();
    await app.address();
    expect(app.output).to.include('The database is up to date');
    const returned = await visit();
    expect((await returned.post('/api/log-in', { username: 'grace', password: passwords.grace })).status).to.equal(200);
    await returned.connect();
    const room = (await returned.request('retrieve', { pk: 1 })).data as {
      currentUsers: unknown[];
      messages: { text: string }[];
    };
    expect(room.currentUsers, 'nobody is in a room after a crash').to.be.empty;
    expect(room.messages.map(({ text }) => text)).to.include.members(confirmed);
    returned.disconnect();
  });

  /** The texts whose reply came before the process was killed. More were on their way. */
  async function writeUntilKilled(visitor: Visitor, count: number): Promise<string[]> {
    const confirmed: string[] = [];
    const enough = new Promise<void>((resolve) => {
      for (let i = 0; i < 4 * count; i++) {
        const text = `message ${i}`;
        void visitor.request('create_message', { text }).then(
          // The server refuses the requests after the first 64, because only 64 may wait.
          ({ response_status }) => response_status === 201 && confirmed.push(text) === count && resolve(),
          () => undefined,
        );
      }
    });
    await enough;
    await app.stop('SIGKILL');
    return confirmed;
  }

  it('stops cleanly on a signal, and leaves the folder to the next', async () => {
    expect(await app.stop('SIGINT')).to.equal(0);
    expect(readdirSync(folder.path)).to.deep.equal(['pglite']);
  });

  it('stops as cleanly when the channel of its parent closes just before the signal, as Ctrl+C may have it', async () => {
    app = start({}, { hasChannel: true });
    await app.address();
    await app.closeChannel();
    expect(await app.stop('SIGINT')).to.equal(0);
    expect(readdirSync(folder.path)).to.deep.equal(['pglite']);
  });

  it('says in one sentence that its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    const late = start({ PORT: String(port) });
    expect(await late.ended()).to.equal(1);
    expect(late.output.trim().split('\n').at(-1)).to.equal(
      `Port ${port} is taken: stop the program that uses it, or choose another one with PORT.`,
    );
    other.close();
  });

  it('has let no password out, in no frame, no answer and no line that it printed', () => {
    const everything = [...apps.map(({ output }) => output), ...visitors.flatMap(({ heard }) => heard)].join('\n');
    expect(everything).to.include('Platform two').and.to.include('Listening.');
    for (const [name, password] of Object.entries(passwords)) {
      const encodings = [password, Buffer.from(password).toString('base64'), Buffer.from(password).toString('hex')];
      for (const bytes of encodings) expect(everything.includes(bytes), `the password ${name}`).to.equal(false);
    }
  });
});
