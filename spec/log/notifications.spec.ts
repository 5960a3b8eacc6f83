import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import pg from 'pg';
import { type NotificationListener, Notifications } from '#signalbox/log/notifications.js';
import { addressOf, connectOrm, useDatabase } from '../support/database.js';
import { until } from '../support/deadline.js';
import { embeddedDatabase } from '../support/embedded-database.js';
import { entities } from '../support/entities.js';
import { type PostgresServer, startPostgres } from '../support/postgres.js';

/** Writes down what it is told; that it hears nothing, once for all attempts that fail. */
class Listening implements NotificationListener {
  readonly told: string[] = [];
  #isDown = false;

  heard(payload: string, isOwn: boolean): void {
    this.told.push(`${isOwn ? 'own' : 'other'} ${payload}`);
  }

  up(): void {
    this.#isDown = false;
    this.told.push('up');
  }

  /** Told with each attempt that fails, of which there may be any number while a server is away. */
  down(): void {
    if (!this.#isDown) this.told.push('down');
    this.#isDown = true;
  }

  async hears(...told: readonly string[]): Promise<void> {
    await until(() => this.told.length >= told.length, `That is told: ${told}`);
    expect(this.told.splice(0)).to.deep.equal(told);
  }
}

describe('Notifications', () => {
  const database = useDatabase('notifications');
  let other: MikroORM;
  let here: Notifications;
  let there: Notifications;
  let listening: Listening;
  const ends: (() => Promise<void>)[] = [];

  before(async () => {
    other = await connectOrm(addressOf(database));
  });
  beforeEach(() => {
    here = Notifications.of(database.orm);
    there = Notifications.of(other);
    listening = new Listening();
  });
  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });
  after(() => other.close(true));

  function listen(notifications: Notifications, channel: string, listener = listening): void {
    ends.push(notifications.listen(channel, listener));
  }

  async function connections(): Promise<number> {
    const sql = `select count(*)::int as count from pg_stat_activity where datname = current_database() and application_name = 'signalbox'`;
    const [row] = await database.orm.em.getConnection().execute<{ count: number }[]>(sql);
    return row?.count ?? 0;
  }

  it('are heard in the order in which they were sent, by every listener of the channel', async () => {
    const second = new Listening();
    listen(here, 'red');
    listen(there, 'red', second);
    await Promise.all([listening.hears('up'), second.hears('up')]);
    await there.notify('red', ['one', 'two']);
    await there.notify('blue', ['three']);
    await there.notify('red', ['four']);
    await listening.hears('other one', 'other two', 'other four');
    await second.hears('own one', 'own two', 'own four');
  });

  it('can be sent without listening', async () => {
    listen(here, 'red');
    await listening.hears('up');
    await there.notify('red', ['one']);
    await listening.hears('other one');
    expect(there.isUp).to.equal(false);
  });

  it('take one connection for all channels, which goes with the last listener', async () => {
    listen(here, 'red');
    listen(here, 'blue');
    await listening.hears('up', 'up');
    listen(here, 'green');
    await listening.hears('up');
    expect(await connections()).to.equal(1);
    for (const end of ends.splice(0)) await end();
    await until(async () => (await connections()) === 0, 'The end of the connection');
  });

  it('are heard again after the connection was lost, which is told', async () => {
    listen(here, 'red');
    await listening.hears('up');
    const kill = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'signalbox' and datname = current_database()`;
    const told = listening.hears('down', 'up');
    await database.orm.em.getConnection().execute(kill);
    await told;
    await there.notify('red', ['one']);
    await listening.hears('other one');
  });

  it('are refused as a whole where a payload is too long', async () => {
    listen(here, 'red');
    await listening.hears('up');
    const refused = await here.notify('red', ['one', 'x'.repeat(8_000)]).catch((error: Error) => error.message);
    expect(refused).to.include('payload string too long');
    await here.notify('red', ['two']);
    await listening.hears('own two');
  });
});

describe('The connection of notifications', () => {
  const database = useDatabase('notifications_in_turn');
  const { query } = pg.Client.prototype;

  afterEach(() => {
    pg.Client.prototype.query = query;
  });

  it('has one statement under way at a time, whatever is asked of it at once', async () => {
    const running = new Map<object, number>();
    let most = 0;
    pg.Client.prototype.query = function (this: object, ...statement: readonly unknown[]) {
      const count = (running.get(this) ?? 0) + 1;
      running.set(this, count);
      most = Math.max(most, count);
      const answer: unknown = Reflect.apply(query, this, statement);
      Promise.resolve(answer).then(
        () => running.set(this, (running.get(this) ?? 1) - 1),
        () => {},
      );
      return answer;
    } as typeof query;
    const notifications = Notifications.of(database.orm);
    const [red, blue] = [new Listening(), new Listening()];
    const ends = [notifications.listen('red', red)];
    await red.hears('up');
    ends.push(notifications.listen('blue', blue));
    await Promise.all([notifications.notify('red', ['one']), notifications.notify('red', ['two'])]);
    await red.hears('own one', 'own two');
    await blue.hears('up');
    for (const end of ends) await end();
    expect(most).to.equal(1);
  });
});

describe('Notifications, while the server is away', () => {
  let server: PostgresServer;
  let orm: MikroORM;

  before(async () => {
    server = await startPostgres();
    orm = await connectOrm(await server.createDatabase('away'));
  });
  after(async () => {
    await orm.close(true);
    await server.stop();
  });

  it('are begun with again by themselves', async () => {
    const listening = new Listening();
    await server.halt('fast');
    const notifications = Notifications.of(orm);
    const end = notifications.listen('red', listening);
    await listening.hears('down');
    expect(await notifications.notify('red', ['one']).catch(() => 'refused')).to.equal('refused');
    await server.resume();
    await listening.hears('up');
    await server.halt('immediate');
    await listening.hears('down');
    await server.resume();
    await listening.hears('up');
    await notifications.notify('red', ['two']);
    await listening.hears('own two');
    await end();
  });
});

describe('Notifications of an embedded database', () => {
  const database = embeddedDatabase(entities);

  it('are never heard, because it has one connection', async () => {
    const listening = new Listening();
    const notifications = Notifications.of(database.orm);
    const end = notifications.listen('red', listening);
    await notifications.notify('red', ['one']);
    expect(listening.told).to.deep.equal([]);
    await end();
  });
});
