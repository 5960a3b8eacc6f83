import { chmodSync, readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import { type PrivateDatabase, startPrivateDatabase } from '../src/cluster/private-database.js';
import { sharedBrowser } from './support/browser.js';
import { RunningApp } from './support/running-app.js';
import type { Tab } from './support/tab.js';
import { TemporaryFolder } from './support/temporary-folder.js';
import { unique } from './support/unique.js';
import { Visitor } from './support/visitor.js';
import { Visitors } from './support/visitors.js';

const TIME_FOR_PROCESSES = 120_000;
const TIME_TO_COME_BACK = 40_000;
const PASSWORD = 'correct horse battery';
const repository = resolve(import.meta.dirname, '../../..');

/** One story: two browsers connect, a worker writes, the processes are replaced and killed, and all processes end. */
describe('npm run example:cluster', function () {
  this.timeout(TIME_FOR_PROCESSES);
  const [ada, grace] = [unique('ada'), unique('grace')];
  /** All temporary files of the example are in here, so that the spec sees files that it leaves behind. */
  let temporary: TemporaryFolder;
  let cluster: RunningApp;
  let visitors: Visitors;
  let room: string;
  let adas: Tab;
  let graces: Tab;

  before(async function () {
    const browser = await sharedBrowser(this);
    temporary = new TemporaryFolder();
    // PostgreSQL runs as another user if this process runs as root.
    chmodSync(temporary.path, 0o755);
    const command = ['npm', 'run', 'example:cluster'] as const;
    cluster = new RunningApp({ TMPDIR: temporary.path }, { command, folder: repository, leadsGroup: true });
    visitors = new Visitors(browser, await cluster.address());
  });
  after(async () => {
    await visitors?.leave();
    cluster?.endGroup();
    temporary?.remove();
  });

  const textsIn = (tab: Tab) => tab.page.getByRole('log').locator('.text').allTextContents();

  it('gives two tabs to two processes, and they talk to each other', async () => {
    adas = await visitors.signedUp(ada);
    room = await adas.openRoom(unique('Platform'));
    await adas.user(ada).waitFor();
    graces = await visitors.signedUp(grace, room);
    const sockets = [...cluster.output.matchAll(/balancer \| a socket goes to (app \d)/g)].map(([, name]) => name);
    expect(sockets.slice(-2).sort()).to.deep.equal(['app 1', 'app 2']);

    await adas.write('Is anybody there?');
    await graces.message('Is anybody there?').waitFor();
    await graces.write('I am, elsewhere.');
    await adas.message('I am, elsewhere.').waitFor();
    for (const tab of [adas, graces]) for (const name of [ada, grace]) await tab.user(name).waitFor();
  });

  it('shows in both tabs what the worker writes, as it writes it', async () => {
    const clock = async (tab: Tab) => {
      await tab.page.goto('/');
      await tab.card('Station clock').getByRole('link').first().click();
      await tab.heading('Station clock').waitFor();
      await tab.connected();
    };
    await clock(adas);
    await clock(graces);
    const told = await textsIn(adas);
    const next = adas.page.getByRole('log').locator('.text').nth(told.length);
    await next.waitFor();
    const text = await next.textContent();
    expect(text).to.match(/^It is \d\d:\d\d:\d\d UTC\.$/);
    await graces.message(text ?? '').waitFor();
    const isEvent = (frame: string) => frame.includes('"action":"create"') && frame.includes(text ?? '');
    for (const tab of [adas, graces]) {
      expect(tab.frames.filter(isEvent)).to.have.length(1);
      await tab.page.goto(room);
      await tab.connected();
    }
  });

  it('replaces both processes under traffic: tabs come back, and all agree on what was said', async () => {
    const hopper = new Visitor(visitors.address);
    await hopper.post('/api/sign-up', { username: unique('hopper'), password: PASSWORD });
    await hopper.connect();

    const from = cluster.output.length;
    let isReplaced = false;
    const replaced = cluster.prints(/All are replaced/, from).then(() => {
      isReplaced = true;
    });
    cluster.pressEnter();
    const said: string[] = [];
    while (!isReplaced) {
      for (const tab of [adas, graces]) {
        const text = `${said.length} while you were replaced`;
        await tab.say(text, TIME_TO_COME_BACK);
        said.push(text);
      }
    }
    await replaced;
    expect(cluster.output.slice(from)).to.match(
      /app 1 gets no new clients[\s\S]*app 1 gets new clients[\s\S]*app 2 gets no new/,
    );
    expect(await hopper.closed, 'the close code for "service restart"').to.equal(1012);

    const lovelaces = await visitors.signedUp(unique('lovelace'), room);
    await lovelaces.message(said.at(-1) ?? '').waitFor();
    const agreed = await textsIn(lovelaces);
    expect(agreed).to.include.members(said);
    expect(new Set(agreed).size).to.equal(agreed.length);
    for (const tab of [adas, graces]) {
      await tab.message(said.at(-1) ?? '').waitFor();
      expect(await textsIn(tab)).to.deep.equal(agreed);
      for (const name of [ada, grace]) await tab.user(name).waitFor();
    }
  });

  it('starts a process again that was killed, and its clients come back', async () => {
    const from = cluster.output.length;
    const [, pid] = [...cluster.output.matchAll(/supervisor \| app 2 is process (\d+)/g)].at(-1) ?? [];
    process.kill(Number(pid), 'SIGKILL');
    await cluster.prints(/app 2 has ended by itself \(SIGKILL\) and is started again/, from);
    await cluster.prints(/app 2 gets new clients/, from);
    await Promise.all([adas, graces].map((tab) => tab.connected(TIME_TO_COME_BACK)));
    await adas.write('That was an accident.');
    await graces.message('That was an accident.').waitFor();
  });

  it('meets no error on its pages', () => {
    expect(visitors.unexpectedErrors()).to.deep.equal([]);
  });

  it('ends on Ctrl+C with every process that it started, and leaves no file', async () => {
    await visitors.leave();
    await cluster.interruptGroup();
    // Files of Node and npm.
    const left = readdirSync(temporary.path).filter((name) => name !== 'node-compile-cache');
    expect(left).to.deep.equal([]);
  });
});

/** Only the command to start it differs for several processes, not the code of the app. */
describe('main.js, started twice on one DATABASE_URL,', function () {
  this.timeout(TIME_FOR_PROCESSES);
  let database: PrivateDatabase;
  let apps: RunningApp[] = [];
  let adas: Visitor;
  let graces: Visitor;
  let elsewhere: string;

  before(async () => {
    database = await startPrivateDatabase();
    apps = [1, 2].map(() => new RunningApp({ DATABASE_URL: database.url, DRAIN_DELAY: '0' }));
  });
  after(async () => {
    await Promise.all(apps.map((app) => app.stop('SIGKILL')));
    await database?.stop();
  });

  it('applies each migration once, although both start at once on an empty database', async () => {
    const [here, there] = (await Promise.all(apps.map((app) => app.address()))) as [string, string];
    elsewhere = there;
    const [first, second] = apps.map(({ output }) => output).sort();
    expect(first).to.include(
      'Applied 0001-create-accounts, 0002-create-rooms, 0003-add-private-rooms, 0004-add-visits',
    );
    expect(second).to.include('The database is up to date');
    adas = new Visitor(here);
    graces = new Visitor(there);
  });

  it('has one list of accounts and sessions: whoever logs in at one is logged in at the other', async () => {
    expect((await adas.post('/api/sign-up', { username: 'ada', password: PASSWORD })).status).to.equal(201);
    expect((await graces.post('/api/sign-up', { username: 'grace', password: PASSWORD })).status).to.equal(201);
    const again = adas.at(elsewhere);
    await again.connect();
    expect((await again.request('list')).response_status).to.equal(200);
    expect(await again.request('list').then(({ data }) => data)).to.deep.equal([]);
    again.disconnect();
  });

  it('tells users of one what users of the other say, and who is inside', async () => {
    await Promise.all([adas.connect(), graces.connect()]);
    await adas.request('create', { data: { name: 'Platform two' } });
    await graces.request('subscribe_to_messages_in_room', { pk: 1 });
    await graces.request('join_room', { pk: 1 });
    const entered = graces.next(({ action, data }) => action === 'update' && usersIn(data).length === 2);
    expect(usersIn((await adas.request('join_room', { pk: 1 })).data).sort()).to.deep.equal(['ada', 'grace']);
    await entered;

    const heard = graces.next(({ action }) => action === 'create');
    expect((await adas.request('create_message', { text: 'From here' })).response_status).to.equal(201);
    expect((await heard).data).to.deep.include({ text: 'From here' });

    const left = graces.next(({ action, data }) => action === 'update' && usersIn(data).length === 1);
    adas.disconnect();
    expect(usersIn((await left).data)).to.deep.equal(['grace']);
  });

  it('closes at both the sockets of a session that ends at one', async () => {
    const again = adas.at(elsewhere);
    await adas.connect();
    await again.connect();
    await adas.post('/api/log-out', {});
    expect(await Promise.all([adas.closed, again.closed])).to.deep.equal([4401, 4401]);
  });

  it('drains on SIGTERM: its clients are told to come back, and it exits with 0', async () => {
    expect(await apps[1]?.stop('SIGTERM')).to.equal(0);
    expect(await graces.closed).to.equal(1012);
  });
});

function usersIn(room: unknown): string[] {
  const { currentUsers = [] } = room as { currentUsers?: readonly { username: string }[] };
  return currentUsers.map(({ username }) => username);
}
