import { expect } from 'chai';
import pg from 'pg';
import { createApp, path } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { Retention } from '#signalbox/log/retention.js';
import { addressOf, useDatabase } from '../support/database.js';
import { until, within } from '../support/deadline.js';
import { testProviders } from '../support/providers.js';
import { SilentConsumer } from '../support/serving.js';

/** After how many milliseconds an application looks first, and again where it has failed. */
const minute = 60_000;

describe('The retention of the change log', () => {
  const database = useDatabase('retention');
  const settings = { durability: 'unlogged', slotMinutes: 2 } as const;
  let logger: MemoryLogger;
  let retention: Retention | undefined;
  const clients: pg.Client[] = [];

  beforeEach(async () => {
    logger = new MemoryLogger();
    await database.orm.em.execute('drop schema if exists signalbox cascade');
    await prepareLog(database.orm.em, settings, logger);
    await database.orm.em.execute(
      `insert into signalbox.log (at, slot, entries) values (clock_timestamp() - interval '1 hour', 3, 'old')`,
    );
    await database.orm.em.execute(
      `update signalbox.state set mark = pg_current_snapshot(), marked_at = marked_at - interval '1 hour'`,
    );
  });
  afterEach(async () => {
    await retention?.stop();
    for (const client of clients.splice(0)) await client.end();
  });

  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client(addressOf(database));
    await client.connect();
    clients.push(client);
    return client;
  };
  const begin = (retryAfter: number): Retention => {
    retention = new Retention(database.orm.em, settings, logger, () => {}, retryAfter);
    return retention;
  };
  const rows = async (): Promise<number> => {
    const [row]: { count: number }[] = await database.orm.em
      .fork()
      .execute('select count(*)::int as count from signalbox.log');
    return row?.count ?? Number.NaN;
  };

  const isWaiting = async (client: pg.Client): Promise<boolean> => {
    const { rowCount } = await client.query(
      `select from pg_locks where relation = 'signalbox.log_3'::regclass and not granted`,
    );
    return rowCount === 1;
  };

  it('looks by itself, and empties what is old', async () => {
    begin(1).start();
    await until(async () => (await rows()) === 0, 'the slot to be emptied');
  });

  it('leaves a slot that an open transaction has written to, and lets other writers into it while that is open', async () => {
    const writer = await connect();
    await writer.query('begin');
    await writer.query(
      `insert into signalbox.log (at, slot, entries) values (clock_timestamp() - interval '1 hour', 3, 'open')`,
    );
    const other = await connect();
    let isOver = false;
    const pruning = begin(1)
      .prune()
      .finally(() => (isOver = true));
    await until(async () => isOver || (await isWaiting(other)), 'The pruning to wait for the slot');
    await within(other.query(`insert into signalbox.log (slot, entries) values (3, 'new')`), 'Another write');
    expect(await within(pruning, 'The pruning')).to.deep.equal([]);
    await writer.query('commit');
    expect(await rows()).to.equal(3);
  });

  it('leaves the mark where it is while a slot is in use, so that the next look can go on', async () => {
    const reader = await connect();
    await reader.query('begin');
    await reader.query('select count(*) from signalbox.log');
    expect(await begin(1).prune()).to.deep.equal([]);
    await reader.query('commit');
    expect(await begin(1).prune()).to.deep.equal([3]);
  });

  it('is done by one process at a time', async () => {
    const other = await connect();
    await other.query('begin');
    await other.query('select pg_advisory_xact_lock(1397311310, 2)');
    expect(await begin(1).prune()).to.deep.equal([]);
    expect(await rows()).to.equal(1);
  });

  it('warns where it cannot empty a slot for as long as a slot takes', async () => {
    const reader = await connect();
    await reader.query('begin');
    await reader.query('select count(*) from signalbox.log');
    begin(1).start();
    await until(() => logger.at('warn').length > 0, 'a warning');
    expect(logger.at('warn')[0]).to.deep.include({
      message: 'The change log cannot be pruned, and grows.',
      fields: { reason: 'A slot is in use by an open transaction, or by a dump.', attempts: 2 },
    });
    await reader.query('commit');
    await until(async () => (await rows()) === 0, 'the slot to be emptied');
  });

  it('counts each attempt of an application that has failed', async () => {
    const reader = await connect();
    await reader.query('begin');
    await reader.query('select count(*) from signalbox.log');
    const { container, counters } = testProviders();
    const app = createApp({
      orm: database.orm,
      container,
      settings: { changeLog: { slotMinutes: 2 } },
      routes: [path('/', SilentConsumer)],
    });
    await withShortMinutes(async () => {
      await app.start();
      await until(() => counters.count('signalbox.log_pruning_failures') >= 2, 'two attempts');
      await reader.query('commit');
      await until(async () => (await rows()) === 0, 'the slot to be emptied');
      await app.close();
    });
  });

  it('is no failure where the tables are gone', async () => {
    await database.orm.em.execute('drop schema signalbox cascade');
    expect(await begin(1).prune()).to.deep.equal([]);
    expect(logger.entries).to.deep.equal([]);
  });
});

/** While work is done, a timer of a minute fires at once. */
async function withShortMinutes(work: () => Promise<void>): Promise<void> {
  const { setTimeout: original } = globalThis;
  const shortened = (call: () => void, delay?: number) => original(call, delay === minute ? 1 : delay);
  globalThis.setTimeout = Object.assign(shortened, original) as typeof original;
  try {
    await work();
  } finally {
    globalThis.setTimeout = original;
  }
}
