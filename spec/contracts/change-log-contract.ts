import type { SqlEntityManager } from '@mikro-orm/sql';
import { expect } from 'chai';
import { MemoryLogger } from 'signalbox/testing';
import { type LogBatch, LogReader, type LogReaderOptions } from '#signalbox/log/log-reader.js';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { Retention } from '#signalbox/log/retention.js';
import {
  type RunStatement,
  runStatement,
  type StatementUse,
  statementRunner,
  writeConnection,
} from '#signalbox/orm/statements.js';
import { defaultSettings } from '#signalbox/settings.js';
import { until, within } from '../support/deadline.js';
import { population } from '../support/population.js';
import { makeHotRows, storedCounts, storm, Told } from '../support/storm.js';

/** A database that the suite may do anything with. */
export interface LogDatabase {
  readonly em: SqlEntityManager;
  /** Runs each statement on a connection of its own; absent where there is one connection only. */
  readonly roaming?: RunStatement;
}

const settings = { ...defaultSettings.changeLog, preparedStatements: true };

/**
 * What holds for the change log on every database.
 *
 * @param open gives a database, the same one for all specs
 */
export function itIsAChangeLog(open: () => LogDatabase, { hasServer }: { readonly hasServer: boolean }): void {
  let em: SqlEntityManager;
  let logger: MemoryLogger;
  let batches: LogBatch[];
  let missed: string[];
  const readers: LogReader[] = [];

  const prepare = (): Promise<void> => prepareLog(em, settings, logger);
  const startReader = async (options: Partial<LogReaderOptions> = {}): Promise<LogReader> => {
    const reader = new LogReader({
      read: statementRunner(em, settings),
      prepare,
      bell: { isHeard: true },
      settings,
      logger,
      receive: (batch) => batches.push(batch),
      missed: (reason) => missed.push(reason),
      ...options,
    });
    readers.push(reader);
    await reader.start();
    return reader;
  };
  const append = (...texts: readonly string[]): Promise<void> =>
    writeConnection(em).transactional(async (transaction) => {
      for (const text of texts)
        await runStatement(transaction, { text: 'insert into signalbox.log (entries) values ($1)' }, [text]);
    });
  const received = (): string[] => batches.flatMap(({ rows }) => rows.map(({ entries }) => entries));
  const prune = (): Promise<readonly number[]> => new Retention(em, settings, logger).prune();
  /** As if this time had passed since all of the log's rows were written. */
  const age = async (minutes: number): Promise<void> => {
    await em.execute(`update signalbox.log set at = at - interval '${minutes} minutes', slot = (slot + 1) % 8`);
    await em.execute(`update signalbox.state set marked_at = marked_at - interval '${minutes} minutes'`);
  };

  beforeEach(async () => {
    ({ em } = open());
    logger = new MemoryLogger();
    batches = [];
    missed = [];
    await em.execute('drop schema if exists signalbox cascade');
    await prepare();
  });
  afterEach(async () => {
    for (const reader of readers.splice(0)) await reader.stop();
  });

  it('loses, doubles and misorders nothing in a storm of commits', async function () {
    const commits = Number(process.env['SIGNALBOX_STORM'] ?? population(hasServer ? 1_600 : 400));
    this.timeout(60_000 + 20 * commits);
    const { roaming } = open();
    await makeHotRows(em);
    const tolds = [new Told(), new Told(), new Told()] as const;
    const [rung, polling, wandering] = await Promise.all(
      tolds.map(({ receive }, index) => startReader({ receive, ...(index === 2 && roaming && { read: roaming }) })),
    );
    const polls = setInterval(() => [polling, wandering].map((reader) => reader?.ring()), 5);
    await storm({
      em,
      commits,
      writers: hasServer ? 12 : 3,
      hasServer,
      committed: () => rung?.ring(),
    });
    clearInterval(polls);
    await Promise.all(readers.map((reader) => reader.read()));
    const stored = await storedCounts(em);
    expect(stored.size).to.be.above(0);
    for (const told of tolds) {
      expect(told.faults).to.deep.equal([]);
      expect(new Map([...told.counts].sort(([one], [other]) => one - other))).to.deep.equal(
        new Map([...stored].sort(([one], [other]) => one - other)),
      );
    }
    expect(missed).to.deep.equal([]);
  });

  it('gives what was committed before a read began, in one batch, by id', async () => {
    const reader = await startReader();
    await append('a', 'b');
    await append('c');
    expect(await reader.read()).to.equal(1);
    expect(batches).to.have.length(1);
    const [{ number, rows } = { number: 0, rows: [] }] = batches;
    expect(number).to.equal(1);
    expect(rows.map(({ entries }) => entries)).to.deep.equal(['a', 'b', 'c']);
    expect(rows.map(({ id }) => id)).to.deep.equal(rows.map(({ id }) => id).toSorted((one, other) => one - other));
    expect(new Set(rows.map(({ xid }) => xid)).size).to.equal(2);
  });

  it('counts reads that find nothing, and hands nothing on', async () => {
    const reader = await startReader();
    expect([await reader.read(), await reader.read()]).to.deep.equal([1, 2]);
    expect(reader.batch).to.equal(2);
    expect(batches).to.deep.equal([]);
  });

  it('begins at the end of the log', async () => {
    await append('before');
    const reader = await startReader();
    await append('after');
    await reader.read();
    expect(received()).to.deep.equal(['after']);
  });

  it('leaves out what is rolled back', async () => {
    const reader = await startReader();
    await writeConnection(em)
      .transactional(async (transaction) => {
        await runStatement(transaction, { text: `insert into signalbox.log (entries) values ('gone')` }, []);
        throw new Error('no');
      })
      .catch(() => {});
    await append('kept');
    await reader.read();
    expect(received()).to.deep.equal(['kept']);
  });

  it('reads once for all that ask in the same turn, and once more for those that ask meanwhile', async () => {
    const reader = await startReader();
    const first = [reader.read(), reader.read()];
    expect(await Promise.all(first)).to.deep.equal([1, 1]);
    reader.ring();
    await new Promise((resolve) => setImmediate(resolve));
    const later = [reader.read(), reader.read()];
    expect(await Promise.all(later)).to.deep.equal([3, 3]);
    expect(reader.batch).to.equal(3);
  });

  it('reads after a ring', async () => {
    const reader = await startReader();
    await append('a');
    reader.ring();
    await until(() => batches.length === 1, 'a read');
    expect(received()).to.deep.equal(['a']);
  });

  it('reads by itself every pollInterval', async () => {
    await startReader({ settings: { ...settings, pollInterval: 10 } });
    await append('a');
    await until(() => batches.length === 1, 'a poll');
  });

  it('reads again and again where a commit is expected that no ring tells of', async () => {
    const reader = await startReader();
    reader.expect();
    await until(() => reader.batch === 1, 'the first read');
    await append('a');
    await until(() => batches.length === 1, 'a later read');
  });

  it('goes on after a receiver that fails, without giving it the batch again', async () => {
    let calls = 0;
    const reader = await startReader({
      receive: (batch) => {
        calls += 1;
        if (calls === 1) throw new Error('no');
        batches.push(batch);
      },
    });
    await append('a');
    expect(await reader.read()).to.equal(1);
    await append('b');
    await reader.read();
    expect(received()).to.deep.equal(['b']);
    expect(reader.failedReceivers).to.equal(1);
    expect(logger.entries.map(({ level, message }) => [level, message])).to.deep.equal([
      ['error', 'A receiver of the change log failed.'],
    ]);
  });

  it('passes over a batch of too many rows, and says so', async () => {
    const reader = await startReader({ settings: { ...settings, largestBatch: 2 } });
    await append('a', 'b');
    await reader.read();
    await append('c', 'd', 'e');
    expect(await reader.read()).to.equal(2);
    await append('f');
    await reader.read();
    expect(received()).to.deep.equal(['a', 'b', 'f']);
    expect(missed).to.deep.equal(['overflow']);
  });

  it('passes over a batch of too many bytes, and says so', async () => {
    const reader = await startReader({ settings: { ...settings, largestBatchBytes: 10 } });
    await append('12345', '67890');
    await reader.read();
    await append('12345', '678901');
    await reader.read();
    expect(received()).to.deep.equal(['12345', '67890']);
    expect(missed).to.deep.equal(['overflow']);
  });

  it('begins anew where the log has another epoch', async () => {
    const reader = await startReader();
    await append('a');
    await em.execute('update signalbox.state set epoch = gen_random_uuid()');
    await reader.read();
    await append('b');
    await reader.read();
    expect(received()).to.deep.equal(['b']);
    expect(missed).to.deep.equal(['epoch']);
  });

  it('makes an epoch where there is none, as after a crash with unlogged tables', async () => {
    const [one, other] = [await startReader(), await startReader()];
    await em.execute('truncate signalbox.log, signalbox.state');
    await Promise.all([one.read(), other.read()]);
    await Promise.all([one.read(), other.read()]);
    expect(missed).to.deep.equal(['epoch', 'epoch']);
    expect(await em.execute('select count(*)::int as count from signalbox.state')).to.deep.equal([{ count: 1 }]);
  });

  it('makes the tables anew where they are gone', async () => {
    const reader = await startReader();
    await em.execute('drop schema signalbox cascade');
    await reader.read();
    await append('a');
    await reader.read();
    expect(received()).to.deep.equal(['a']);
    expect(missed).to.deep.equal(['epoch']);
  });

  it('has an epoch of its own where a dump of another server was restored', async () => {
    const reader = await startReader();
    await em.execute(`update signalbox.state set system = '1'`);
    await prepare();
    await reader.read();
    expect(missed).to.deep.equal(['epoch']);
  });

  it('keeps its position where the database fails, warns once, and goes on', async () => {
    let isDown = false;
    const run = statementRunner(em, settings);
    const reader = await startReader({
      read: (...statement) => (isDown ? Promise.reject(new Error('away')) : run(...statement)),
    });
    isDown = true;
    await append('a');
    for (const attempt of [1, 2])
      expect(await reader.read().catch((error: Error) => error.message), String(attempt)).to.equal('away');
    expect(reader.batch).to.equal(0);
    expect(reader.lag).to.be.above(0);
    isDown = false;
    await until(() => batches.length > 0, 'a further attempt of the reader itself');
    expect(received()).to.deep.equal(['a']);
    await until(() => reader.lag === 0, 'the end of the read');
    expect(logger.entries.map(({ level, message }) => [level, message])).to.deep.equal([
      ['warn', 'The change log cannot be read. The reader tries again and goes on from where it is.'],
      ['info', 'The change log is read again.'],
    ]);
    expect(missed).to.deep.equal([]);
  });

  it('is behind only while a read has a connection and no answer', async () => {
    const run = statementRunner(em, settings);
    const answer = Promise.withResolvers<void>();
    const uses: (StatementUse | undefined)[] = [];
    const reader = await startReader({
      read: async (statement, parameters, use) => {
        uses.push(use);
        if (statement.name === 'read') await answer.promise;
        return run(statement, parameters);
      },
    });
    const reading = reader.read();
    await until(() => uses.length === 2, 'the read');
    expect(reader.lag).to.equal(0);
    Object.assign(uses[1] ?? {}, { connectedAt: performance.now() });
    await until(() => reader.lag > 1, 'time to pass');
    answer.resolve();
    await reading;
    await until(() => reader.lag === 0, 'the end of the read');
  });

  if (hasServer) {
    it('gives the row of a transaction that was open over several reads, once', async () => {
      const reader = await startReader();
      await writeConnection(em).transactional(async (transaction) => {
        await runStatement(transaction, { text: `insert into signalbox.log (entries) values ('late')` }, []);
        await append('early');
        await reader.read();
        await append('next');
        await reader.read();
      });
      await reader.read();
      await reader.read();
      expect(received()).to.deep.equal(['early', 'next', 'late']);
    });
  } else {
    it('waits for an action that has the only connection, and is not behind meanwhile', async () => {
      const reader = await startReader();
      let reading: Promise<number> | undefined;
      await writeConnection(em).transactional(async (transaction) => {
        reading = reader.read();
        await runStatement(transaction, { text: `insert into signalbox.log (entries) values ('a')` }, []);
        await runStatement(transaction, { text: 'select 1' }, []);
        expect(reader.lag).to.equal(0);
      });
      await reading;
      expect(received()).to.deep.equal(['a']);
    });
  }

  it('reads nothing after its end, and goes on from the end of the log after a new start', async () => {
    const reader = await startReader();
    await reader.stop();
    await append('a');
    reader.ring();
    expect(await reader.read().catch((error: Error) => error.message)).to.equal(
      'The reader of the change log is not running.',
    );
    await reader.start();
    await append('b');
    await reader.read();
    expect(received()).to.deep.equal(['b']);
  });

  it('rejects a read that has not begun when it ends', async () => {
    const reader = await startReader();
    const late = reader.read().catch((error: Error) => error.message);
    await reader.stop();
    expect(await within(late, 'the end')).to.equal('The reader of the change log was stopped.');
  });

  it('empties a slot whose newest row is older than six slots', async () => {
    const reader = await startReader();
    await append('a');
    await age(89);
    expect(await prune()).to.deep.equal([]);
    await reader.read();
    await append('b');
    await age(16);
    expect(await prune()).to.have.length(1);
    await reader.read();
    expect(received()).to.deep.equal(['a', 'b']);
    expect(missed).to.deep.equal([]);
    expect(await em.execute('select entries from signalbox.log')).to.deep.equal([{ entries: 'b' }]);
  });

  it('keeps rows that have appeared since the slot before, however old they are', async () => {
    await append('a');
    await em.execute(`update signalbox.log set at = at - interval '1 day', slot = (slot + 1) % 8`);
    await em.execute(`update signalbox.state set mark = '3:3:', marked_at = marked_at - interval '15 minutes'`);
    expect(await prune()).to.deep.equal([]);
    expect(await em.execute('select entries from signalbox.log')).to.deep.equal([{ entries: 'a' }]);
    await em.execute(`update signalbox.state set marked_at = marked_at - interval '15 minutes'`);
    expect(await prune()).to.have.length(1);
  });

  it('tells a reader that has not read what was pruned', async () => {
    const reader = await startReader();
    await append('a');
    await em.execute('update signalbox.state set mark = pg_current_snapshot()');
    await age(200);
    expect(await prune()).to.have.length(1);
    await append('b');
    await reader.read();
    await append('c');
    await reader.read();
    expect(received()).to.deep.equal(['c']);
    expect(missed).to.deep.equal(['lag']);
  });
}
