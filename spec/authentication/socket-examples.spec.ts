import { expect } from 'chai';
import type { App } from 'signalbox';
import { connect, type TestClock, type TestConnection } from 'signalbox/testing';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { Account, Session, Sessions } from './examples.js';
import { accountApp, banned } from './socket-examples.js';

describe('The example of accounts in a socket', () => {
  const database = useDatabase('socket_examples', [Account, Session]);
  let app: App;
  let clock: TestClock;
  let account: Account;
  let ann: TestConnection;
  const hour = 3_600_000;

  beforeEach(async () => {
    const em = database.orm.em.fork();
    account = em.create(Account, { name: 'ann', active: true });
    await em.flush();
    const providers = testProviders();
    clock = providers.clock;
    app = accountApp(database.orm, providers.container);
    ann = await connect(app, '/account/');
  });
  afterEach(() => app.close());

  const tokenFor = (milliseconds: number): Promise<string> =>
    new Sessions(database.orm.em.fork()).open(account, new Date(clock.now().getTime() + milliseconds));

  it('logs in by a token, puts the end off by another, and ends', async () => {
    expect(await ann.request('login', { token: await tokenFor(hour) })).to.include({ response_status: 200 });
    expect(await ann.request('refresh', { token: await tokenFor(2 * hour) })).to.include({ response_status: 200 });
    clock.advance(hour);
    expect(await ann.request('refresh', { token: 'x' })).to.include({ response_status: 401 });
    clock.advance(hour);
    expect(await ann.closed).to.equal(4401);
  });

  it('logs out, and may log in again', async () => {
    await ann.request('login', { token: await tokenFor(hour) });
    expect(await ann.request('logout')).to.include({ response_status: 200 });
    expect(await ann.request('refresh', { token: await tokenFor(hour) })).to.include({ response_status: 403 });
    expect(await ann.request('login', { token: await tokenFor(hour) })).to.include({ response_status: 200 });
  });

  it('is closed where the session is deleted', async () => {
    await ann.request('login', { token: await tokenFor(hour) });
    const em = database.orm.em.fork();
    em.remove(await em.findOneOrFail(Session, { account }));
    await em.flush();
    expect(await ann.closed).to.equal(4401);
  });

  it('is closed where the account is banned', async () => {
    await ann.request('login', { token: await tokenFor(hour) });
    banned.send({ account: account.id, why: 'a reason' });
    expect(await ann.closed).to.equal(4403);
  });

  it('is closed where the account is not active any more', async () => {
    await ann.request('login', { token: await tokenFor(hour) });
    const em = database.orm.em.fork();
    (await em.findOneOrFail(Account, account.id)).active = false;
    await em.flush();
    expect(await ann.closed).to.equal(4401);
  });
});
