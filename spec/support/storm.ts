import type { SqlEntityManager } from '@mikro-orm/sql';
import type { LogBatch } from '#signalbox/log/log-reader.js';
import type { StatementConnection } from '#signalbox/orm/sql-connection.js';
import { runStatement, writeConnection } from '#signalbox/orm/statements.js';

/** What a log row of the storm says: rows of the table `hot`, and the count that each was raised to. */
export type Raised = readonly (readonly [row: number, count: number])[];

export interface StormOptions {
  readonly em: SqlEntityManager;
  /** The storm is over when this many transactions have been committed. */
  readonly commits: number;
  readonly writers: number;
  /** Off on PGlite, which has one connection: a transaction that stays open would stop all others. */
  readonly hasServer: boolean;
  /** Called after each commit. */
  readonly committed: () => void;
}

const rows = 20;

export async function makeHotRows(em: SqlEntityManager): Promise<void> {
  await em.execute('drop table if exists hot');
  await em.execute('create table hot (id int primary key, n int not null)');
  await em.execute(`insert into hot select g, 0 from generate_series(1, ${rows}) g`);
}

/** The count of each row, as it is stored. */
export async function storedCounts(em: SqlEntityManager): Promise<ReadonlyMap<number, number>> {
  const found: { id: number; n: number }[] = await em.execute('select id, n from hot where n > 0');
  return new Map(found.map(({ id, n }) => [id, n]));
}

/**
 * Writers that raise the counts of few rows at once, each transaction with its log row: savepoints, a third of which is rolled back,
 * a fifth of all transactions rolled back, two-phase commits, and one transaction that stays open for some hundred commits of the
 * others, again and again. What fails, because the server is gone for instance, is begun anew.
 */
export async function storm(options: StormOptions): Promise<void> {
  const commits = new Commits(options);
  const writers = Array.from({ length: options.writers }, (_, writer) =>
    commits.repeat(() => write(options, commits, writer)),
  );
  const long = options.hasServer ? [commits.repeat(() => stayOpen(options, commits))] : [];
  await Promise.all([...writers, ...long]);
}

/** Counts what was committed. */
class Commits {
  #count = 0;
  /** What has to be called at which count. */
  readonly #waiting = new Set<readonly [count: number, call: () => void]>();

  constructor(private readonly options: StormOptions) {}

  /** Does the work again and again until the storm is over. */
  async repeat(work: () => Promise<void>): Promise<void> {
    while (this.#count < this.options.commits) await work().catch((error: unknown) => refuseOurOwn(error));
  }

  note(): void {
    this.#count += 1;
    for (const waiting of this.#waiting) {
      if (waiting[0] > this.#count) continue;
      this.#waiting.delete(waiting);
      waiting[1]();
    }
    this.options.committed();
  }

  /** Resolves after this many further commits, or at the end of the storm. */
  after(further: number): Promise<void> {
    const count = Math.min(this.#count + further, this.options.commits);
    if (count <= this.#count) return Promise.resolve();
    return new Promise((resolve) => void this.#waiting.add([count, resolve]));
  }
}

/** Errors of the database belong to the storm; others are mistakes of the spec. */
function refuseOurOwn(error: unknown): void {
  const { message, code } = Object(error) as { readonly message?: string; readonly code?: string };
  if (code === undefined && !/rolled back by the storm|[Cc]onnection|timeout/.test(String(message))) throw error;
}

/** Names of prepared transactions have to differ. */
let prepared = 0;

async function write({ em, hasServer }: StormOptions, commits: Commits, writer: number): Promise<void> {
  const connection = writeConnection(em);
  prepared += 1;
  const name = `storm_${process.pid}_${writer}_${prepared}`;
  const isTwoPhase = hasServer && Math.random() < 0.1;
  await connection.transactional(async (transaction) => {
    const keys = someKeys();
    if (Math.random() < 0.4) await writeInSavepoint(transaction, keys.slice(0, 1));
    await append(transaction, await raise(transaction, keys));
    if (Math.random() < 0.2) throw new Error('rolled back by the storm');
    if (isTwoPhase) await run(transaction, `prepare transaction '${name}'`);
  });
  // The COMMIT of the ORM has found no transaction: it stays open for others until now.
  if (isTwoPhase) await em.fork().execute(`commit prepared '${name}'`);
  commits.note();
}

async function writeInSavepoint(transaction: StatementConnection, keys: readonly number[]): Promise<void> {
  await run(transaction, 'savepoint one');
  await append(transaction, await raise(transaction, keys));
  await run(transaction, Math.random() < 1 / 3 ? 'rollback to one' : 'release one');
}

async function stayOpen({ em }: StormOptions, commits: Commits): Promise<void> {
  await writeConnection(em).transactional(async (transaction) => {
    await run(transaction, 'select pg_current_xact_id()');
    await commits.after(100 + Math.floor(Math.random() * 100));
    await append(transaction, await raise(transaction, someKeys()));
  });
  commits.note();
}

/** One to three keys in their order: transactions that lock rows in one order never wait for each other in a circle. */
function someKeys(): readonly number[] {
  const count = 1 + Math.floor(Math.random() * 3);
  const keys = new Set(Array.from({ length: count }, () => 1 + Math.floor(Math.random() * rows)));
  return [...keys].sort((one, other) => one - other);
}

async function raise(transaction: StatementConnection, keys: readonly number[]): Promise<Raised> {
  const raised: [number, number][] = [];
  for (const key of keys) {
    const [row] = await run<{ n: number }>(transaction, `update hot set n = n + 1 where id = ${key} returning n`);
    if (row) raised.push([key, row.n]);
  }
  return raised;
}

async function append(transaction: StatementConnection, raised: Raised): Promise<void> {
  const statement = { name: 'storm', text: 'insert into signalbox.log (entries) values ($1)' };
  await runStatement(transaction, statement, [JSON.stringify(raised)]);
}

function run<Row>(transaction: StatementConnection, text: string): Promise<readonly Row[]> {
  return runStatement<Row>(transaction, { text }, []);
}

/** What one reader was told, and what is wrong with it. */
export class Told {
  readonly #counts = new Map<number, number>();
  readonly faults: string[] = [];

  readonly receive = ({ rows: received }: LogBatch): void => {
    for (const { entries } of received)
      for (const [row, count] of JSON.parse(entries) as Raised) this.#note(row, count);
  };

  /** The last count of each row. */
  get counts(): ReadonlyMap<number, number> {
    return this.#counts;
  }

  /** Each count follows the one before: anything else was lost, doubled, or comes in the wrong order. */
  #note(row: number, count: number): void {
    const last = this.#counts.get(row) ?? 0;
    if (count !== last + 1) this.faults.push(`row ${row}: ${count} after ${last}`);
    this.#counts.set(row, Math.max(count, last));
  }
}
