import { AsyncLocalStorage } from 'node:async_hooks';
import { ConfigurationError } from '../errors.js';
import { CommitInDoubt, isConnectionFailure, isDatabaseFailure, isWithoutEffect } from './orm-errors.js';
import type { OrmRoot } from './orm-root.js';
import {
  type Command,
  type Connected,
  isPool,
  type LoneConnection,
  type Pool,
  type PoolClient,
  type SqlConnection,
  type Transaction,
} from './sql-connection.js';
import {
  endWithoutCommit,
  holdConnection,
  holdConnectionWith,
  type RunStatement,
  releaseConnection,
  runStatement,
  runWithCommit,
  type Statement,
  writeConnection,
} from './statements.js';

/** Is called when transactions end. */
export interface CommitListener {
  /** Called before COMMIT; may run a last statement of the transaction. An error that it throws rolls the transaction back. */
  committing(transaction: object, runLast: RunStatement): Promise<void>;
  /** Called after the transaction has taken effect. Never throws. */
  committed(transaction: object): void;
}

/** `T` in a transaction, `E` in a transaction that a failed statement has aborted, `I` in none; undefined if the state is not known. */
type Status = () => string | null | undefined | Promise<string>;

/** One use of a connection, from the moment when the pool hands it out. */
interface Checkout {
  readonly processID: number | undefined;
  readonly client: PoolClient;
  /** Closes the connection and frees its slot in the pool, unless it was given back. */
  readonly discard: () => void;
}

/** The longest wait for the database to connect, and then to answer, in ms: probes of `/livez` often time out after one second. */
const patience = 400;

const pools = new WeakMap<object, ConnectionPool>();

/**
 * Keeps the pool of an ORM from losing connections. The query builder below MikroORM (kysely 0.29) releases the connection of a transaction
 * only after a COMMIT or a ROLLBACK that succeeded: each connection that the server has ended keeps its slot in the pool for ever. Two
 * rules prevent that, whatever the reason:
 *
 * 1. A connection that has ended is discarded at once, also while it is checked out.
 * 2. If a transaction fails to begin or to roll back, its connection is discarded.
 *
 * It also turns errors of BEGIN, COMMIT and ROLLBACK into those of MikroORM, which other statements have already. PostgreSQL answers COMMIT
 * of an aborted transaction by rolling it back silently, and accepts COMMIT after raw SQL has ended the transaction: here both fail.
 *
 * For databases without a pool, such as PGlite, only the conversion of errors applies.
 */
export class ConnectionPool {
  readonly #checkouts = new Set<Checkout>();
  /** The last checkout of each connection. */
  readonly #last = new WeakMap<PoolClient, Checkout>();
  readonly #checkoutOf = new WeakMap<Transaction, Checkout>();
  readonly #known = new WeakSet<object>();
  /** The transaction that is beginning, for which the pool hands out a connection. */
  readonly #beginning = new AsyncLocalStorage<{ checkout?: Checkout | undefined }>();
  #pool: Pool | undefined;
  /** Time of the first request that the pool has not served since, by `performance.now()` in ms; undefined if none waits. */
  #wantedSince: number | undefined;
  #users = 0;
  #listener: CommitListener | undefined;

  private constructor(private readonly connection: SqlConnection) {}

  /**
   * The pool of an ORM, which several applications may share.
   *
   * @throws ConfigurationError for a pool that is hidden in a Kysely or a dialect
   */
  static of({ em }: OrmRoot): ConnectionPool {
    const given: unknown = em.config.get('driverOptions');
    if (typeof given === 'object' && given !== null && ('createDriver' in given || 'startTransaction' in given))
      throw hiddenPool();
    const connection = writeConnection(em);
    const pool = pools.get(connection) ?? new ConnectionPool(connection);
    pools.set(connection, pool);
    return pool;
  }

  /** Starts to watch the pool; each call needs one call of `unwatch`. */
  watch(): void {
    this.#users += 1;
    if (this.#users > 1) return;
    const connection = this.connection;
    const { begin, rollback } = connection;
    connection.begin = (options) => {
      const run = () => begin.call(connection, options);
      return options?.ctx ? this.#save(options.ctx, run) : this.#begin(run);
    };
    connection.rollback = (transaction, ...more) =>
      this.#rollback(transaction, () => rollback.call(connection, transaction, ...more));
  }

  unwatch(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    Reflect.deleteProperty(this.connection, 'begin');
    Reflect.deleteProperty(this.connection, 'rollback');
    if (this.#pool) Reflect.deleteProperty(this.#pool, 'connect');
    this.#pool = undefined;
  }

  onCommit(listener: CommitListener | undefined): void {
    this.#listener = listener;
  }

  /** Whether we hear of the end of this transaction. */
  knows(transaction: object): boolean {
    return this.#known.has(transaction);
  }

  /**
   * Whether the pool has been used up for this many milliseconds and will not recover: all its connections are checked out, it has handed
   * out none although requests asked for one, and the database says on a separate connection that it runs no statement for any of them.
   */
  async isExhausted(milliseconds: number): Promise<boolean> {
    const pool = this.#pool;
    if (!pool || this.#wantedSince === undefined) return false;
    if (pool.idleCount > 0 || pool.totalCount < pool.options.max) return false;
    return performance.now() - this.#wantedSince >= milliseconds && (await this.#isIdleInDatabase(pool));
  }

  async #save(around: object, save: () => Promise<Transaction>): Promise<Transaction> {
    const savepoint = await save();
    holdConnectionWith(around, savepoint);
    if (this.#known.has(around)) this.#known.add(savepoint);
    return savepoint;
  }

  async #begin(begin: () => Promise<Transaction>): Promise<Transaction> {
    const beginning: { checkout?: Checkout } = {};
    try {
      this.#watchPool(await this.#nativeClient());
      const transaction = await this.#beginning.run(beginning, begin);
      const { checkout } = beginning;
      if (checkout) {
        this.#checkoutOf.set(transaction, checkout);
        holdConnection(transaction, checkout.client);
      }
      this.#known.add(transaction);
      const commit = transaction.commit.bind(transaction);
      const status = checkout ? statusOf(checkout.client, transaction) : watchStatements(transaction);
      transaction.commit = () => this.#commit(transaction, commit(), status);
      return transaction;
    } catch (error) {
      beginning.checkout?.discard();
      throw this.converted(error);
    }
  }

  #commit(transaction: Transaction, command: Command, status: Status): Command {
    let isSent = false;
    const runLast: RunStatement = <Row>(statement: Statement, parameters: readonly unknown[]) => {
      const rows = runWithCommit<Row>(transaction, statement, parameters);
      isSent = rows !== undefined;
      return rows ?? runStatement<Row>(transaction, statement, parameters);
    };
    const execute = async (): Promise<void> => {
      requireOpen(await status());
      try {
        await this.#listener?.committing(transaction, runLast);
        const end = () => command.execute();
        const ended = isSent ? endWithoutCommit(transaction, end) : end();
        isSent = true;
        await ended;
      } catch (error) {
        throw isSent && !isWithoutEffect(error) ? new CommitInDoubt(error as Error) : this.converted(error);
      }
      releaseConnection(transaction);
      this.#listener?.committed(transaction);
    };
    return { execute };
  }

  async #rollback(transaction: Transaction, rollback: () => Promise<void>): Promise<void> {
    if (transaction.savepointName === undefined) releaseConnection(transaction);
    try {
      await rollback();
    } catch (error) {
      // A savepoint shares the connection of its transaction, which fails next.
      if (transaction.savepointName === undefined) this.#checkoutOf.get(transaction)?.discard();
      throw this.converted(error);
    }
  }

  /**
   * Turns a failure of the database or of the way to it into MikroORM's own error. Errors of a listener or of the application stay as they
   * are.
   */
  converted(error: unknown): unknown {
    if (!isDatabaseFailure(error)) return error;
    return this.connection.getPlatform().getExceptionConverter().convertException(error);
  }

  async #nativeClient(): Promise<unknown> {
    try {
      return await this.connection.getNativeClient();
    } catch (error) {
      throw String(error).includes('native client is not available') ? hiddenPool() : error;
    }
  }

  /** MikroORM makes its pool with the first query, and a new pool when it reconnects. */
  #watchPool(client: unknown): void {
    if (client === this.#pool || !isPool(client)) return;
    const pool = client;
    const connect = pool.connect.bind(pool);
    this.#pool = pool;
    this.#wantedSince = undefined;
    const watched = (connected?: Connected) => {
      if (!connected) {
        return new Promise<PoolClient>((resolve, reject) =>
          pool.connect((error, one) => (one ? resolve(one) : reject(error))),
        );
      }
      const beginning = this.#beginning.getStore();
      this.#wantedSince ??= performance.now();
      return connect((error, one, release) => {
        if (!one) return connected(error, one, release);
        const checkout = this.#checkOut(pool, one);
        // A listener that runs before BEGIN may use a connection of its own.
        if (beginning && !(beginning.checkout && this.#checkouts.has(beginning.checkout)))
          beginning.checkout = checkout;
        connected(error, one, one.release);
      });
    };
    pool.connect = watched as Pool['connect'];
  }

  #checkOut(pool: Pool, client: PoolClient): Checkout {
    this.#wantedSince = pool.waitingCount > 0 ? performance.now() : undefined;
    // The pool sets a new `release` for each checkout.
    const { release } = client;
    let isDiscarded = false;
    client.release = (failure) => {
      // The holder does not know that its connection was discarded.
      if (isDiscarded) return;
      this.#checkouts.delete(checkout);
      release(failure);
    };
    const giveBack = client.release;
    const discard = (): void => {
      if (!this.#checkouts.has(checkout)) return;
      giveBack(true);
      isDiscarded = true;
    };
    const checkout: Checkout = { processID: client.processID ?? undefined, client, discard };
    this.#checkouts.add(checkout);
    if (!this.#last.has(client)) client.once('end', () => this.#last.get(client)?.discard());
    this.#last.set(client, checkout);
    return checkout;
  }

  /** Whether the database takes several connections. PGlite takes one. */
  async hasConnections(): Promise<boolean> {
    return isPool(await this.#nativeClient());
  }

  /**
   * Connects outside of the pool, with the settings of the pool.
   *
   * @param timeLimit for connecting and for each query, in milliseconds
   * @throws what the driver throws, and Error for a database of one connection
   */
  async openAlone(timeLimit: number): Promise<LoneConnection> {
    const pool = await this.#nativeClient();
    if (!isPool(pool)) throw new Error('The database has one connection.');
    return connectAlone(pool, timeLimit);
  }

  /**
   * Whether the database runs no statement for the pool's connections. Behind a pooler the process ids are the pooler's, so that the
   * database finds none of them running.
   */
  async #isIdleInDatabase(pool: Pool): Promise<boolean> {
    const processIDs = [...this.#checkouts].flatMap(({ processID }) => processID ?? []);
    let client: LoneConnection | undefined;
    try {
      client = await connectAlone(pool, patience);
      const sql = `select 1 from pg_stat_activity where pid = any($1) and state not like 'idle%'`;
      const { rows } = await client.query(sql, [processIDs]);
      return rows.length === 0;
    } catch {
      return false;
    } finally {
      client?.end().catch(() => {});
    }
  }
}

async function connectAlone({ Client, options }: Pool, timeLimit: number): Promise<LoneConnection> {
  const { password } = options;
  // `pg` makes the password not enumerable.
  const client = new Client({
    // The name in `pg_stat_activity`.
    fallback_application_name: 'signalbox',
    ...options,
    password,
    connectionTimeoutMillis: timeLimit,
    query_timeout: timeLimit,
  });
  client.on('error', () => {});
  await client.connect();
  oneAfterTheOther(client);
  return client;
}

function oneAfterTheOther(client: LoneConnection): void {
  const query = client.query.bind(client);
  let last: Promise<unknown> = Promise.resolve();
  client.query = (...statement) => {
    const answer = last.then(() => query(...statement));
    last = answer.catch(() => {});
    return answer;
  };
}

function statusOf(client: PoolClient, transaction: Transaction): Status {
  return () => (client.readyForQuery === false ? probed(transaction) : client.getTransactionStatus?.());
}

async function probed(transaction: Transaction): Promise<string> {
  const probe = { sql: 'select 1', parameters: [], query: { kind: 'RawNode' }, queryId: { queryId: 'signalbox' } };
  return transaction.executeQuery(probe).then(
    () => 'T',
    // If this statement fails too, COMMIT reports the better error.
    (error) => (isConnectionFailure(error) ? 'T' : 'E'),
  );
}

/**
 * Works out the state of a transaction whose driver does not report it. Raw SQL may have ended it; after a failed statement, another
 * statement shows whether the failure aborted the transaction or only a savepoint.
 */
function watchStatements(transaction: Transaction): Status {
  let status = 'T';
  const { executeQuery } = transaction;
  transaction.executeQuery = async (query, options) => {
    try {
      const result = await executeQuery.call(transaction, query, options);
      if (typeof query.sql === 'string' && ending.test(query.sql)) status = 'I';
      return result;
    } catch (error) {
      if (isDatabaseFailure(error)) status = 'E';
      throw error;
    }
  };
  return async () => (status === 'E' ? probed(transaction) : status);
}

const ending = /^\s*(?:commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b))\b/i;

/** @throws Error if COMMIT would not commit what the transaction wrote */
function requireOpen(status: string | null | undefined): void {
  if (status === 'E')
    throw new Error(
      'PostgreSQL has rolled the transaction back: a statement in it failed, and the code that caught the error went on.',
    );
  if (status === 'I')
    throw new Error('The transaction was ended by raw SQL before its end: COMMIT and ROLLBACK belong to MikroORM.');
}

function hiddenPool(): ConfigurationError {
  return new ConfigurationError({
    class: 'createApp',
    member: 'orm',
    reason:
      'has a Kysely or a dialect of its own in `driverOptions`, whose connections cannot be watched: each connection that the server ends in a transaction would be lost to the pool.',
    remedy: 'Give MikroORM the options of the pool instead: driverOptions: { max: 10, … }.',
  });
}
