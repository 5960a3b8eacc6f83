import type { MikroORM } from '@mikro-orm/postgresql';
import { expect } from 'chai';
import pg from 'pg';
import { MemoryLogger } from 'signalbox/testing';
import type { LogReader } from '#signalbox/log/log-reader.js';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { ConnectionPool } from '#signalbox/orm/connection-pool.js';
import { type ChangeLogSettings, defaultSettings } from '#signalbox/settings.js';
import { logReaderOf } from '../support/changes.js';
import { connectOrm } from '../support/database.js';
import { until } from '../support/deadline.js';
import { population } from '../support/population.js';
import { type PostgresServer, startPostgres } from '../support/postgres.js';
import { makeHotRows, storedCounts, storm, Told } from '../support/storm.js';

/** Commits outlast a crash, other than those of the other specs, and nothing else is written to the disk on the way. */
async function configure(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  for (const sql of [
    'alter role postgres set synchronous_commit = on',
    `alter system set wal_writer_delay = '10s'`,
    'select pg_reload_conf()',
  ])
    await client.query(sql);
  await client.end();
}

describe('The change log over a crash of the server', function () {
  this.timeout(120_000);
  let server: PostgresServer;
  let orm: MikroORM;
  let pool: ConnectionPool;
  let received: string[];
  let missed: string[];
  let reader: LogReader;

  before(async () => {
    server = await startPostgres();
    const clientUrl = await server.createDatabase('crash');
    await configure(server.url);
    orm = await connectOrm(clientUrl, { entities: [], pool: { max: 20 } });
    pool = ConnectionPool.of(orm);
    pool.watch();
  });
  after(async () => {
    pool.unwatch();
    await orm.close(true);
    await server.stop();
  });
  beforeEach(async () => {
    received = [];
    missed = [];
    await orm.em.execute('drop schema if exists signalbox cascade');
  });
  afterEach(() => reader.stop());

  const start = async (durability: ChangeLogSettings['durability'], told?: Told): Promise<LogReader> => {
    const settings = { ...defaultSettings.changeLog, durability };
    await prepareLog(orm.em, settings, new MemoryLogger());
    reader = logReaderOf(orm.em, {
      settings,
      receive: (batch) => {
        received.push(...batch.rows.map(({ entries }) => entries));
        told?.receive(batch);
      },
      missed: (reason) => missed.push(reason),
    });
    await reader.start();
    return reader;
  };
  const append = (text: string) => orm.em.fork().execute(`insert into signalbox.log (entries) values ('${text}')`);
  const xidOf = async (sql: string): Promise<number> => {
    const rows: { xid: number }[] = await orm.em.fork().execute(sql);
    return rows[0]?.xid ?? Number.NaN;
  };
  const rollBackTwenty = async (sql: string): Promise<void> => {
    for (let count = 0; count < 20; count += 1)
      await orm.em
        .fork()
        .transactional(async (em) => {
          await em.execute(sql);
          throw new Error('rolled back');
        })
        .catch(() => {});
  };
  const crash = async (way: 'immediate' | 'kill' = 'immediate'): Promise<void> => {
    await server.halt(way);
    await server.resume();
    // Connections of the time before end with their first statement.
    await until(
      () =>
        orm.em
          .fork()
          .execute('select 1')
          .then(
            () => true,
            () => false,
          ),
      'the server',
    );
  };
  const read = async (): Promise<void> => {
    await until(
      () =>
        reader.read().then(
          () => true,
          () => false,
        ),
      'a read',
    );
  };

  it('loses nothing, and goes on, where the tables are logged, and also where all processes of the server are killed', async () => {
    const told = new Told();
    const commits = population(800);
    await makeHotRows(orm.em);
    const { ring } = await start('logged', told).then((one) => ({ ring: () => one.ring() }));
    for (const way of ['immediate', 'kill'] as const) {
      const half = Promise.withResolvers<void>();
      let count = 0;
      const committed = (): void => {
        ring();
        count += 1;
        if (count === commits / 2) half.resolve();
      };
      const storming = storm({ em: orm.em, commits, writers: 8, hasServer: false, committed });
      await Promise.all([storming, half.promise.then(() => crash(way))]);
    }
    await read();
    expect(told.faults).to.deep.equal([]);
    const byKey = (counts: ReadonlyMap<number, number>) => [...counts].sort(([one], [other]) => one - other);
    expect(byKey(told.counts)).to.deep.equal(byKey(await storedCounts(orm.em)));
    expect(received.length).to.be.at.least(2 * commits);
    expect(missed).to.deep.equal([]);
  });

  it('tells that it begins anew where the tables are unlogged', async () => {
    await start('unlogged');
    await append('a');
    await read();
    await append('b');
    await crash();
    await read();
    await append('c');
    await read();
    expect(received).to.deep.equal(['a', 'c']);
    expect(missed).to.deep.equal(['epoch']);
  });

  it('gives the row of a transaction whose number was given to another one before the crash', async () => {
    await start('logged');
    await append('a');
    await orm.em.execute('checkpoint');
    await rollBackTwenty('select pg_current_xact_id()');
    await read();
    const before = await xidOf('select pg_snapshot_xmax(pg_current_snapshot())::text::int as xid');
    await crash();
    await append('b');
    const after = await xidOf(`select xid::text::int as xid from signalbox.log where entries = 'b'`);
    // Otherwise this shows nothing: the reader's snapshot has seen the transaction of this number end.
    expect(after).to.be.below(before);
    await read();
    expect(received).to.deep.equal(['a', 'b']);
    expect(missed).to.deep.equal([]);
  });

  it('gives the row whose number a transaction had that the crash took back, to a reader that began behind that', async () => {
    const beginning = await start('logged');
    await append('a');
    await orm.em.execute('checkpoint');
    await rollBackTwenty(`select pg_current_xact_id(), nextval(pg_get_serial_sequence('signalbox.log', 'id'))`);
    await beginning.stop();
    await beginning.start();
    await crash();
    await append('b');
    const ids: { id: number }[] = await orm.em.fork().execute('select id::int as id from signalbox.log order by id');
    // PostgreSQL writes 32 numbers of a sequence ahead: where it has done that, this shows nothing.
    expect(ids.map(({ id }) => id)).to.be.deep.oneOf([
      [1, 2],
      [1, 35],
    ]);
    await read();
    expect(received).to.deep.equal(['b']);
    expect(missed).to.deep.equal([]);
  });
});
