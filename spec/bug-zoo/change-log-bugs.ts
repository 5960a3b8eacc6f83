import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import { always, given, leftOut, made, reworded } from './faults.js';
import type { Bug, Fault } from './plant.js';

const noLimit = 2_147_483_647;

/** A statement of the framework reads otherwise. */
function statement(change: (text: string) => string): Fault {
  return {
    symbol: 'runStatement',
    with: given((connection, { text, ...rest }: { readonly text: string }, ...more) => [
      connection,
      { ...rest, text: change(text) },
      ...more,
    ]),
  };
}

/** The reader runs with other options than it was given. */
function reader(change: (options: ReaderOptions) => Partial<ReaderOptions>): Fault {
  return { symbol: 'LogReader', with: made((options: ReaderOptions) => [{ ...options, ...change(options) }]) };
}

const unseen = 'log.xid >= seen_end or log.xid = any (seen_open) or log.id > seen_newest';

const reading: readonly Bug[] = [
  {
    name: 'a subscription hears of a commit from before it',
    story: 'What was committed while nothing listened is handed over by the next read.',
    plant: {
      symbol: 'LogReader.pass',
      with: () => () => undefined,
    },
    caughtBy: ['log/passed-commits'],
  },
  {
    name: 'a manager whose transaction is over locks rows in the transaction of another',
    story: 'The connection of a transaction stays known behind its end.',
    plant: { symbol: 'releaseConnection', with: leftOut },
    caughtBy: ['log/passed-commits'],
  },
  {
    name: 'what a transaction writes that commits late is never told',
    story: 'The reader asks for rows with a higher number than the last one.',
    plant: { symbol: 'readFunction', with: reworded(unseen, 'log.id > seen_newest') },
    caughtBy: ['log/log-reader'],
  },
  {
    name: 'a transaction that stays open holds all others up',
    story: 'The reader goes up to the oldest transaction that is open, and no further.',
    plant: [
      {
        symbol: 'readFunction',
        with: reworded(unseen, 'log.xid >= seen_end and log.xid < pg_snapshot_xmin(pg_current_snapshot())'),
      },
      { symbol: 'readFunction', with: reworded('select pg_current_snapshot()::text', `select ${oldestOpen()}`) },
    ],
    caughtBy: ['log/log-reader'],
  },
  {
    name: 'of two versions of a row the older one is told last',
    story: 'The rows of a batch come in the order of their transactions.',
    plant: reader(({ receive }) => ({
      receive: ({ rows, ...batch }) => receive({ ...batch, rows: rows.toSorted(byTransaction) }),
    })),
    caughtBy: ['log/log-reader'],
  },
  {
    name: 'after a crash of the server, a transaction is taken for one that had its number before',
    story: 'A position is a snapshot, without the highest number that it saw.',
    plant: { symbol: 'readFunction', with: reworded(' or log.id > seen_newest', '') },
    caughtBy: ['log/log-crash'],
  },
  {
    name: 'after a crash of the server, a row is taken for one that was never committed',
    story: 'A reader begins behind the last number that was given out, whether or not its row was committed.',
    plant: {
      symbol: 'headStatement',
      with: ({ text }: { readonly text: string }) => ({
        text: reworded(
          '(select max(id) from signalbox.log)',
          `pg_sequence_last_value(pg_get_serial_sequence('signalbox.log', 'id')::regclass)`,
        )(text),
      }),
    },
    caughtBy: ['log/log-crash'],
  },
  {
    name: 'a batch whose receiver fails is given again',
    story: 'The reader moves on once the receiver has returned.',
    plant: reader(({ read, receive }) => {
      let asked: readonly unknown[] = [];
      let again: readonly unknown[] | undefined;
      return {
        read: (statement, parameters, ...rest) => {
          if (statement.name !== 'read') return read(statement, parameters, ...rest);
          asked = again ?? parameters;
          again = undefined;
          return read(statement, asked, ...rest);
        },
        receive: (batch) => {
          again = asked;
          receive(batch);
          again = undefined;
        },
      };
    }),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'a log that was emptied or restored is read on as if nothing had happened',
    story: 'The epoch is not looked at.',
    plant: [
      { symbol: 'readFunction', with: reworded(`state.epoch || '/' || signalbox.timeline()`, `'any'`) },
      {
        symbol: 'headStatement',
        with: ({ text }: { readonly text: string }) => ({
          text: reworded(`(select epoch || '/' || signalbox.timeline() from signalbox.state)`, `'any'`)(text),
        }),
      },
    ],
    caughtBy: ['log/change-log'],
  },
  {
    name: 'changes that were pruned before they were read are passed over without a word',
    story: 'The reader does not compare its position with what was pruned.',
    plant: { symbol: 'Position.isBefore', with: always(false) },
    caughtBy: ['log/change-log'],
  },
  {
    name: 'nothing says what was pruned',
    story: 'The floor of the log stays where it is when a slot is emptied.',
    plant: statement((text) => (text.startsWith('update signalbox.state set floor') ? 'select 1' : text)),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'pruning waits for a transaction, and every commit waits behind it',
    story: 'The lock on a slot is waited for without a limit.',
    plant: statement((text) => text.replace(`set_config('lock_timeout', '200ms', true)`, `''`)),
    caughtBy: ['log/retention'],
  },
  {
    name: 'any number of changes is read at once',
    story: 'Neither largestBatch nor largestBatchBytes applies.',
    plant: reader(({ settings }) => ({
      settings: { ...settings, largestBatch: noLimit, largestBatchBytes: noLimit },
    })),
    caughtBy: ['log/change-log'],
  },
  {
    name: 'an entry that this process cannot read ends all events',
    story: 'What an entry fails with is not caught.',
    plant: {
      symbol: 'decodeCommits',
      with: given((decoding: object, rows) => [{ ...decoding, logger: { error: fail, debug: fail } }, rows]),
    },
    caughtBy: ['log/entries'],
  },
  {
    name: 'a change of an entity that this process does not have takes the others of its commit along',
    story: 'An entry is decoded as a whole, or not at all.',
    plant: {
      symbol: 'decodeCommits',
      with: given((decoding: object & { logger: object }, rows) => [
        { ...decoding, logger: Object.create(decoding.logger, { debug: { value: fail } }) },
        rows,
      ]),
    },
    caughtBy: ['log/entries'],
  },
  {
    name: 'the columns of another version of the application are taken for those of this one',
    story: 'A text is decoded by the columns that this process knows, whichever it was made of.',
    plant: {
      symbol: 'RowReader.findShape',
      with: () =>
        function (this: ShapeReader, ...[em, connection, meta, schema]: Shaping) {
          return this.shapeOf(em, connection, meta, schema, false);
        },
    },
    caughtBy: ['log/entries'],
  },
];

const writing: readonly Bug[] = [
  {
    name: 'the last event of a row is not what the database has, where transactions overlap',
    story: 'An entry takes its place in the log when its transaction begins, and not behind the locks of its rows.',
    plant: [
      {
        symbol: 'ChangeCapture.afterTransactionStart',
        with: (started: (event: Started) => Promise<void>) =>
          async function (this: object, event: Started) {
            await started.call(this, event);
            const { transaction } = event;
            if (!transaction || transaction.savepointName) return;
            const sql = `select nextval(pg_get_serial_sequence('signalbox.log', 'id'))::text as id`;
            const query = { sql, parameters: [], query: { kind: 'RawNode' }, queryId: { queryId: 'bug' } };
            const { rows } = await transaction.executeQuery(query);
            places.set(transaction, String(rows[0]?.id));
          },
      },
      {
        symbol: 'runWithCommit',
        with: given((connection: object, { text, ...rest }: { readonly text: string }, ...more) => {
          const place = places.get(connection);
          const placed = (_: string, entry: string, returning: string): string =>
            `insert into signalbox.log (id, entries) overriding system value select ${place}, e.* from (${entry}) e ${returning}`;
          const appending = /insert into signalbox\.log \(entries\) (.*) (returning .*)$/s;
          return [connection, { ...rest, text: place ? text.replace(appending, placed) : text }, ...more];
        }),
      },
    ],
    caughtBy: ['log/true-images'],
  },
  {
    name: 'a member who was removed hears what a later commit wrote',
    story: 'Members are read by the statement that waits for the lock of their row, which sees those of before.',
    plant: {
      symbol: 'runStatement',
      with: (run: (...given: Running) => Promise<unknown>) => {
        const locks = new WeakMap<object, string>();
        return (...given: Running) => {
          const [connection, { text, ...statement }, ...rest] = given;
          const lock = /^select 1 from .*( for no key update of [\w, ]+)\) r$/s.exec(text)?.[1];
          if (lock) locks.set(connection, lock);
          if (lock) return Promise.resolve([]);
          const waiting = (_: string, row: string, keys: string): string =>
            `select k.o, r.row from ${keys} cross join lateral (${row}${locks.get(connection) ?? ''}) r`;
          const reading = /select k\.o, \(([^,]*json_build_array.*)\) as row from (.*?)(?=\), _former as)/s;
          return run(connection, { ...statement, text: text.replace(reading, waiting) }, ...rest);
        };
      },
    },
    caughtBy: ['log/true-images'],
  },
  {
    name: 'of two commits that change the members of one row, one is told wrongly',
    story: 'Who changes the members of a row does not lock the row.',
    plant: statement((text) =>
      text.startsWith('select 1 from') ? text.replace(/ for no key update of .*$/, '') : text,
    ),
    caughtBy: ['log/true-images'],
  },
  {
    name: 'the delete of a row whose key changes names the new key',
    story: 'A row is what its key says now.',
    plant: {
      symbol: 'ChangeCapture.beforeUpdate',
      with: given(({ changeSet: _, ...event }: { readonly changeSet?: unknown }) => [event]),
    },
    caughtBy: ['log/true-images'],
  },
  {
    name: 'an update that has found no row is told as a second delete of the row',
    story: 'Nobody asks the driver how many rows an update has affected.',
    plant: { symbol: 'watchUpdates', with: leftOut },
    caughtBy: ['orm/change-capture'],
  },
  {
    name: 'two rows with one key in two schemas are one',
    story: 'The schema is no part of what a row is told apart by.',
    plant: {
      symbol: 'nameOf',
      in: 'orm/change-capture',
      with: given((note: object) => [{ ...note, schema: undefined }]),
    },
    caughtBy: ['log/true-images'],
  },
  {
    name: 'an event shows the columns of a row in another way than a read does',
    story: 'Columns are decoded as text, and not by the parsers of the driver.',
    plant: { symbol: 'parserOf', with: always(Promise.resolve(() => (text: string) => text)) },
    caughtBy: ['log/true-images'],
  },
  {
    name: 'a hidden column is in the change log',
    story: 'An entry has all columns of its rows.',
    plant: {
      symbol: 'columnsOf',
      in: 'orm/row',
      with: given((em, meta: EntityMetadata, tables, hidden: object) => [
        em,
        meta,
        tables,
        { ...hidden, shown: new Set(meta.props.map(({ name }) => name)) },
      ]),
    },
    caughtBy: ['log/entries'],
  },
  {
    name: 'a text with quotes in it is torn apart',
    story: 'A quoted column ends at its first quote.',
    plant: { symbol: 'closingQuote', with: () => (text: string, from: number) => text.indexOf('"', from) },
    caughtBy: ['orm/row-text'],
  },
];

export const changeLogBugs: readonly Bug[] = [...reading, ...writing];

// What the faults above have to know of what they replace.

interface LogRow {
  readonly xid: string;
}

interface LogBatch {
  readonly rows: readonly LogRow[];
}

interface ReaderOptions {
  readonly read: (
    statement: { readonly name?: string },
    parameters: readonly unknown[],
    ...rest: unknown[]
  ) => Promise<unknown>;
  readonly receive: (batch: LogBatch) => void;
  readonly settings: object;
}

interface ShapeReader {
  shapeOf(...given: [...Shaping, boolean]): Promise<unknown>;
}

type Shaping = [em: EntityManager, connection: unknown, meta: unknown, schema: unknown];
type Running = [connection: object, statement: { readonly text: string }, ...rest: unknown[]];

interface Started {
  readonly transaction?: {
    readonly savepointName?: string;
    executeQuery(query: object): Promise<{ readonly rows: readonly { readonly id: unknown }[] }>;
  };
}

/** The number that an entry has in the log, by its transaction. */
const places = new WeakMap<object, string>();

function byTransaction(one: LogRow, other: LogRow): number {
  return Number(BigInt(one.xid) - BigInt(other.xid));
}

function oldestOpen(): string {
  const oldest = `pg_snapshot_xmin(pg_current_snapshot())::text`;
  return `${oldest} || ':' || ${oldest} || ':'`;
}

function fail(): never {
  throw new Error('The entry could not be read.');
}
