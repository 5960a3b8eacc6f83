import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/core';
import { arrayLiteral } from './array-literals.js';
import {
  isPool,
  type Pool,
  type PoolClient,
  type RootConnection,
  type SqlConnection,
  type StatementConnection,
} from './sql-connection.js';

/** An SQL statement with `$1`, `$2`, … for its parameters. */
export interface Statement {
  /**
   * A short word for what the statement does. The server keeps its plan under this word and a hash of the text; without a name, it plans
   * the statement each time.
   */
  readonly name?: string;
  readonly text: string;
}

/** The progress of a statement. */
export interface StatementUse {
  /** When the statement got a connection of the pool, by `performance.now()`. Undefined until then. */
  connectedAt: number | undefined;
}

/**
 * Runs one statement.
 *
 * @param use is updated when the statement has a connection, just before it is sent
 */
export type RunStatement = <Row>(
  statement: Statement,
  parameters: readonly unknown[],
  use?: StatementUse,
) => Promise<readonly Row[]>;

/** A row as the driver reads it: the values of its columns, in their order. */
export type PlainRow = readonly unknown[];

/** The most prepared statements of a connection. A server keeps a plan of up to 150 kB for each of them on each connection. */
const mostPrepared = 64;

/** The most statement texts whose names this process keeps. */
const mostNames = 1_000;

/** PostgreSQL's code for a plan whose table has changed its columns since. */
const stalePlan = '0A000';

/**
 * PostgreSQL's code for a name that the server does not know. With its counterpart for a name that exists already, it means that a pooler
 * has switched the server connection behind the client's.
 */
const unknownName = '26000';
const knownName = '42P05';

/**
 * The names of the statements of this process. Clients' data affect the texts, so their number is limited: the least recently used one is
 * dropped.
 */
export class StatementNames {
  readonly #names = new RecentlyUsed<string>(mostNames);
  #count = 0;
  #isPooled = false;

  /** The name; undefined if the statement runs without one. */
  of({ name, text }: Statement): string | undefined {
    if (name === undefined || this.#isPooled) return undefined;
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const made = this.#newName(name, text);
    this.#names.set(text, made);
    return made;
  }

  /** Takes the error of a statement that ran under a name. Returns whether the name caused the error. */
  isToBlame(statement: Statement, error: unknown): boolean {
    const { code } = Object(error) as { readonly code?: unknown };
    // Later statements take another name: each connection that has prepared this one has the stale plan.
    if (code === stalePlan && statement.name !== undefined)
      this.#names.set(statement.text, this.#newName(statement.name, statement.text));
    if (code === unknownName || code === knownName) this.#isPooled = true;
    return code === stalePlan || code === unknownName || code === knownName;
  }

  /** Makes a name that no statement of this process has had. */
  #newName(name: string, text: string): string {
    this.#count += 1;
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
    return `signalbox_${name}_${hash}_${this.#count}`;
  }
}

/** Values by a text, at most `largest` of them: a new one displaces the least recently used one. */
class RecentlyUsed<Value> {
  readonly #values = new Map<string, Value>();

  constructor(private readonly largest: number) {}

  get(key: string): Value | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    this.#values.delete(key);
    this.#values.set(key, value);
    return value;
  }

  /** Returns the key that was displaced. */
  set(key: string, value: Value): string | undefined {
    this.#values.delete(key);
    this.#values.set(key, value);
    if (this.#values.size <= this.largest) return undefined;
    const [oldest = key] = this.#values.keys();
    this.#values.delete(oldest);
    return oldest;
  }
}

const namesOfProcess = new StatementNames();

/**
 * Runs a statement with parameters, and under a name if it has one. MikroORM itself can do neither: it writes values into the text, so that
 * the server plans each statement again.
 *
 * If the server refuses a plan or a name, the statement is tried again without a name, once. In a transaction, which the refusal has
 * aborted, the caller gets the error, and only the next statement runs without the name.
 */
export async function runStatement<Row>(
  connection: StatementConnection,
  statement: Statement,
  parameters: readonly unknown[],
  names = namesOfProcess,
  use?: StatementUse,
): Promise<readonly Row[]> {
  return rowsOf(await run(connection, statement, parameters, names, use));
}

function rowsOf<Row>({ rows, columns }: Result): readonly Row[] {
  return rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])) as Row);
}

/**
 * Sends the last statement of a transaction together with COMMIT, for one answer to both. If either fails, nothing is committed.
 *
 * @returns undefined, with nothing sent, if the connection cannot do that
 */
export function runWithCommit<Row>(
  transaction: StatementConnection,
  statement: Statement,
  parameters: readonly unknown[],
): Promise<readonly Row[]> | undefined {
  const { client } = holders.get(transaction) ?? {};
  const name = namesOfProcess.of(statement);
  if (!client || name === undefined) return undefined;
  const query = new NamedQuery(name, statement.text, parameters, true);
  return send(client, query).then(rowsOf<Row>, (error: unknown) => {
    namesOfProcess.isToBlame(statement, error);
    throw error;
  });
}

/** Lets kysely end a transaction that was committed together with its last statement, and leaves out the COMMIT that kysely sends. */
export async function endWithoutCommit(transaction: object, end: () => Promise<void>): Promise<void> {
  const { client } = holders.get(transaction) ?? {};
  if (!client) return end();
  const { query } = client;
  const withoutCommit = (...given: Parameters<PoolClient['query']>): unknown => {
    if (given[0] !== 'commit') return query.apply(client, given);
    // Removed at once: kysely gives the connection back next, and a request that waits for one sends other statements on it.
    Reflect.deleteProperty(client, 'query');
    return Promise.resolve({ rows: [] });
  };
  client.query = withoutCommit;
  try {
    await end();
  } finally {
    if (client.query === withoutCommit) Reflect.deleteProperty(client, 'query');
  }
}

/** Like `runStatement`, but returns only the values of the columns. */
export async function runRows(
  connection: StatementConnection,
  statement: Statement,
  parameters: readonly unknown[],
): Promise<readonly PlainRow[]> {
  return (await run(connection, statement, parameters, namesOfProcess)).rows;
}

/** The result of a statement. */
interface Result {
  readonly rows: readonly PlainRow[];
  readonly columns: readonly string[];
}

function run(
  connection: StatementConnection,
  statement: Statement,
  parameters: readonly unknown[],
  names: StatementNames,
  use?: StatementUse,
): Promise<Result> {
  const name = hasNames(connection) ? names.of(statement) : undefined;
  if (name === undefined) return runUnnamed(connection, statement.text, parameters);
  return runNamed(connection, name, statement.text, parameters, use).catch((error: unknown) => {
    if (!names.isToBlame(statement, error) || connection.isTransaction) throw error;
    return runUnnamed(connection, statement.text, parameters);
  });
}

/** Whether the connection can prepare named statements. PGlite has one connection, and takes texts only. */
function hasNames(connection: StatementConnection): boolean {
  return connection.getExecutor().adapter.supportsMultipleConnections;
}

async function runUnnamed(
  connection: StatementConnection,
  text: string,
  parameters: readonly unknown[],
): Promise<Result> {
  const rows = (await sendByKysely(connection, text, parameters)) as readonly object[];
  return { rows: rows.map((row) => Object.values(row)), columns: Object.keys(rows[0] ?? {}) };
}

function runNamed(
  connection: StatementConnection,
  name: string,
  text: string,
  parameters: readonly unknown[],
  use?: StatementUse,
): Promise<Result> {
  const { client } = holders.get(connection) ?? {};
  if (client) return send(client, new NamedQuery(name, text, parameters));
  const pool = pools.get(connection);
  if (pool) return runOnPool(pool, new NamedQuery(name, text, parameters), use);
  if (!connection.isTransaction && 'connection' in connection)
    return (connection as RootConnection).connection().execute((one) => runByKysely(one, name, text, parameters));
  return runByKysely(connection, name, text, parameters);
}

/** Runs a statement on the connection of a transaction, or on one taken from the pool with the hooks of the ORM. */
async function runByKysely(
  connection: StatementConnection,
  name: string,
  text: string,
  parameters: readonly unknown[],
): Promise<Result> {
  const query = new NamedQuery(name, text, parameters);
  // The caller gets the error from `query.done`; until then it must not count as unhandled.
  query.done.catch(() => {});
  await sendByKysely(connection, query, []);
  return query.done;
}

/** Sends a statement through kysely; version 0.29 passes `sql` to `pg` unchanged. */
async function sendByKysely(
  connection: StatementConnection,
  sql: string | NamedQuery,
  parameters: readonly unknown[],
): Promise<readonly unknown[]> {
  // kysely matches results to queries by this object.
  const queryId = { queryId: 'signalbox' };
  const { rows } = await connection.executeQuery({ sql, parameters, query: { kind: 'RawNode' }, queryId });
  return rows;
}

// Statements on connections of the pool, without kysely, which takes about ten promises for each of them

/** The pools of ORMs, by their clients of kysely. */
const pools = new WeakMap<StatementConnection, Pool | undefined>();

/** The connection through which an ORM writes. */
export function writeConnection(em: EntityManager): SqlConnection {
  return em.getConnection('write') as unknown as SqlConnection;
}

/** The client that runs statements on the pool's connections, outside of any transaction. */
export function clientOf(em: EntityManager): StatementConnection {
  const connection = writeConnection(em);
  const client = connection.getClient();
  if (!pools.has(client)) void learnPool(em, connection, client);
  return client;
}

/** Finds out whether statements may use the pool directly: only kysely runs the ORM's hooks for connections that are made or taken. */
async function learnPool(em: EntityManager, connection: SqlConnection, client: StatementConnection): Promise<void> {
  pools.set(client, undefined);
  const settings = em.config.getAll() as object as { readonly [name: string]: unknown };
  const hooks = ['onCreateConnection', 'onReserveConnection'];
  if (hooks.some((hook) => settings[hook] ?? connection.options[hook])) return;
  if (settings['sessionContext'] === 'connection' || !hasNames(client)) return;
  // An ORM that was closed meanwhile has no client, and some have none of their own.
  const pool = await connection.getNativeClient().catch(() => undefined);
  if (isPool(pool)) pools.set(client, pool);
}

async function runOnPool(pool: Pool, query: NamedQuery, use?: StatementUse): Promise<Result> {
  const client = await new Promise<PoolClient>((resolve, reject) => {
    pool.connect((error, one) => (one ? resolve(one) : reject(error)));
  });
  if (use) use.connectedAt = performance.now();
  try {
    return await send(client, query);
  } finally {
    client.release();
  }
}

async function send(client: PoolClient, query: NamedQuery): Promise<Result> {
  try {
    client.query(query);
    return await query.done;
  } catch (error) {
    // The driver's stack ends in its socket.
    Error.captureStackTrace(error as Error);
    throw error;
  }
}

/** A transaction or a statement that has a connection of the pool. */
interface Holder {
  client: PoolClient | undefined;
}

/** The holders of the transactions' connections: a transaction and its savepoints share one. */
const holders = new WeakMap<object, Holder>();

/** Makes named statements of this transaction use its connection directly, until `releaseConnection`. */
export function holdConnection(transaction: object, client: PoolClient): void {
  holders.set(transaction, { client });
}

/** Gives a savepoint the connection of its enclosing transaction, for as long as that has it. */
export function holdConnectionWith(around: object, savepoint: object): void {
  const holder = holders.get(around);
  if (holder) holders.set(savepoint, holder);
}

/** Ends the direct use. A statement that comes later goes to kysely, which refuses it. */
export function releaseConnection(transaction: object): void {
  const holder = holders.get(transaction);
  if (holder) holder.client = undefined;
}

/** The part of a `pg` connection that we use. */
interface WireConnection {
  readonly stream: { cork(): void; uncork(): void };
  /** The texts of the statements that the server has prepared, by their names. */
  readonly parsedStatements: Record<string, string>;
  parse(statement: { readonly name: string; readonly text: string }): void;
  bind(bound: { readonly portal: ''; readonly statement: string; readonly values: readonly unknown[] }): void;
  describe(what: { readonly type: 'P'; readonly name: '' }): void;
  execute(what: { readonly portal: ''; readonly rows: 0 }): void;
  close(what: { readonly type: 'S'; readonly name: string }): void;
  sync(): void;
}

interface FieldDescription {
  readonly name: string;
  readonly dataTypeID: number;
}

/** What a connection that has prepared a statement knows of its rows. */
interface Prepared {
  columns: readonly string[];
  parsers: readonly ((text: string) => unknown)[];
  isDescribed: boolean;
}

const preparedOn = new WeakMap<WireConnection, RecentlyUsed<Prepared>>();

/**
 * One run of a prepared statement, in the form that `pg` accepts from `pg-cursor` too. Unlike `pg`'s own query, it asks the server only
 * once per connection to describe its rows, and closes the least recently used statement if there are too many.
 */
class NamedQuery {
  /** Set by `pg` if the connection has parsers of its own. */
  readonly _result: { readonly _types?: { getTypeParser(oid: number, format: 'text'): (text: string) => unknown } } =
    {};
  /** `pg` wraps it for a query with a time limit. */
  callback!: (error: Error | null) => void;
  readonly done: Promise<Result>;
  readonly #rows: PlainRow[] = [];
  #prepared: Prepared = { columns: [], parsers: [], isDescribed: false };
  #failure: Error | undefined;

  constructor(
    readonly name: string,
    readonly text: string,
    private readonly values: readonly unknown[],
    /** Whether COMMIT is sent after it. */
    private readonly commits = false,
  ) {
    this.done = new Promise((resolve, reject) => {
      this.callback = (error) =>
        error ? reject(error) : resolve({ rows: this.#rows, columns: this.#prepared.columns });
    });
  }

  /** Sends the statement; returns an error if it could not be sent. */
  submit(connection: WireConnection): Error | null {
    connection.stream.cork();
    try {
      this.#send(connection, this.values.map(parameterOf));
      return null;
    } catch (error) {
      return error as Error;
    } finally {
      connection.stream.uncork();
    }
  }

  #send(connection: WireConnection, values: readonly unknown[]): void {
    const { name, text } = this;
    const statements = preparedOn.get(connection) ?? new RecentlyUsed<Prepared>(mostPrepared);
    preparedOn.set(connection, statements);
    const known = statements.get(name);
    if (known) this.#prepared = known;
    else {
      const oldest = statements.set(name, this.#prepared);
      if (oldest !== undefined) close(connection, oldest);
    }
    if (connection.parsedStatements[name] === undefined) connection.parse({ name, text });
    connection.bind({ portal: '', statement: name, values });
    if (!this.#prepared.isDescribed) connection.describe({ type: 'P', name: '' });
    connection.execute({ portal: '', rows: 0 });
    if (this.commits) commit(connection);
    connection.sync();
  }

  handleRowDescription({ fields }: { readonly fields: readonly FieldDescription[] }): void {
    const { _types: types } = this._result;
    this.#prepared.columns = fields.map(({ name }) => name);
    this.#prepared.parsers = fields.map(({ dataTypeID }) => types?.getTypeParser(dataTypeID, 'text') ?? String);
    this.#prepared.isDescribed = true;
  }

  handleDataRow({ fields }: { readonly fields: readonly (string | null)[] }): void {
    const { parsers } = this.#prepared;
    try {
      this.#rows.push(fields.map((text, index) => (text === null ? null : parsers[index]?.(text))));
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  handleReadyForQuery(): void {
    this.callback(this.#failure ?? null);
  }

  handleError(error: Error): void {
    this.callback(error);
  }

  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}
  handleCopyData(): void {}

  handleCopyInResponse(connection: { sendCopyFail(reason: string): void }): void {
    connection.sendCopyFail('Nothing to copy.');
  }
}

function commit(connection: WireConnection): void {
  connection.parse({ name: '', text: 'commit' });
  connection.bind({ portal: '', statement: '', values: [] });
  connection.execute({ portal: '', rows: 0 });
}

function close(connection: WireConnection, name: string): void {
  connection.close({ type: 'S', name });
  delete connection.parsedStatements[name];
}

/** The parameter as the server reads it: text, or bytes. */
function parameterOf(value: unknown): string | Buffer | null {
  if (typeof value === 'string') return value;
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return arrayLiteral(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/**
 * Runs statements on connections of an ORM's pool, outside of any transaction.
 *
 * @param converted converts errors of the database
 */
export function statementRunner(
  em: EntityManager,
  { preparedStatements }: { readonly preparedStatements: boolean },
  converted = (error: unknown): unknown => error,
): RunStatement {
  return async <Row>({ name, text }: Statement, parameters: readonly unknown[], use?: StatementUse) => {
    const statement = { text, ...(preparedStatements && name !== undefined && { name }) };
    const connection = writeConnection(em);
    try {
      await connection.ensureConnection();
      const pooled = clientOf(em);
      if (namesOfProcess.of(statement) !== undefined && pools.get(pooled))
        return await runStatement<Row>(pooled, statement, parameters, namesOfProcess, use);
      return await connection
        .getClient()
        .connection()
        .execute((client) => {
          if (use) use.connectedAt = performance.now();
          return runStatement<Row>(client, statement, parameters);
        });
    } catch (error) {
      throw converted(error);
    }
  };
}
