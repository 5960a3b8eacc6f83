import { createHash } from 'node:crypto';
import type { EntityManager } from '@mikro-orm/core';

/** A statement of SQL with `$1`, `$2`, … for its parameters. */
export interface Statement {
  /** A short word for what it does. The server keeps its plan under this word and a hash of the text; without one, it plans each time. */
  readonly name?: string;
  readonly text: string;
}

/**
 * As much of kysely as is used: the client of a connection (`em.getConnection('write').getClient()`), or a transaction
 * (`em.getTransactionContext()`).
 */
export interface StatementConnection {
  readonly isTransaction: boolean;
  executeQuery(query: object): Promise<{ readonly rows: readonly unknown[] }>;
  getExecutor(): { readonly adapter: { readonly supportsMultipleConnections: boolean } };
}

/** As much of MikroORM's connections to SQL databases as is used. */
export interface SqlConnection {
  ensureConnection(): Promise<void>;
  getClient(): StatementConnection & {
    connection(): { execute<T>(work: (client: StatementConnection) => Promise<T>): Promise<T> };
  };
  transactional<T>(work: (transaction: StatementConnection) => Promise<T>): Promise<T>;
}

/** How far a statement has come. */
export interface StatementUse {
  /** Since when it has had a connection of the pool, by `performance.now()`. Undefined until then. */
  connectedAt: number | undefined;
}

/** Runs one statement. @param use told when the statement has a connection, and will be sent at once */
export type RunStatement = <Row>(
  statement: Statement,
  parameters: readonly unknown[],
  use?: StatementUse,
) => Promise<readonly Row[]>;

/** Names of one process. A server keeps a plan of up to 150 kB for each of them on each connection. */
const largestNumberOfNames = 64;

/** The columns of a table changed since the statement was planned. */
const stalePlan = '0A000';

/** The server does not know the name, or knows it already: a pooler has put another server connection behind the client's. */
const unknownName = '26000';
const knownName = '42P05';

/** The names under which this process has statements prepared. */
export class StatementNames {
  readonly #names = new Map<string, string | undefined>();
  #count = 0;
  #isPooled = false;

  constructor(private readonly largest = largestNumberOfNames) {}

  /** Undefined where the statement bears no name, and where it would be one name too many. */
  of({ name, text }: Statement): string | undefined {
    if (name === undefined || this.#isPooled) return undefined;
    const known = this.#names.get(text);
    // The texts are made of what clients send: those that get no name are not kept.
    if (known !== undefined || this.#names.has(text) || this.#count >= this.largest) return known;
    const made = this.#newName(name, text);
    this.#names.set(text, made);
    return made;
  }

  /** To be called with the error of a statement that ran under a name. Returns whether it is the name's fault. */
  isToBlame(statement: Statement, error: unknown): boolean {
    const { code } = Object(error) as { readonly code?: unknown };
    // Later statements take another name: the plan stays stale for as long as its connection lives.
    if (code === stalePlan && statement.name !== undefined)
      this.#names.set(statement.text, this.#newName(statement.name, statement.text));
    if (code === unknownName || code === knownName) this.#isPooled = true;
    return code === stalePlan || code === unknownName || code === knownName;
  }

  #newName(name: string, text: string): string | undefined {
    if (this.#count >= this.largest) return undefined;
    this.#count += 1;
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
    return `signalbox_${name}_${hash}_${this.#count}`;
  }
}

const namesOfProcess = new StatementNames();

/**
 * Runs a statement with parameters, and under a name where there is one. MikroORM itself can do neither: it writes values into the text,
 * so that the server plans each statement anew. The way past it rests on kysely 0.29, which hands `sql` to `pg` as it is.
 *
 * A plan or a name that the server refuses is tried again without a name, once, except in a transaction, which the refusal has aborted:
 * there the caller gets the error, and only the next statement goes without.
 */
export async function runStatement<Row>(
  connection: StatementConnection,
  statement: Statement,
  parameters: readonly unknown[],
  names = namesOfProcess,
): Promise<readonly Row[]> {
  const { text } = statement;
  const name = hasNames(connection) ? names.of(statement) : undefined;
  if (name === undefined) return send(connection, text, parameters);
  try {
    return await send(connection, { name, text }, parameters);
  } catch (error) {
    if (!names.isToBlame(statement, error) || connection.isTransaction) throw error;
    return send(connection, text, parameters);
  }
}

/** PGlite has one connection, and takes texts only. */
function hasNames(connection: StatementConnection): boolean {
  return connection.getExecutor().adapter.supportsMultipleConnections;
}

async function send<Row>(
  connection: StatementConnection,
  sql: string | { readonly name: string; readonly text: string },
  parameters: readonly unknown[],
): Promise<readonly Row[]> {
  // kysely tells by this object which result belongs to which query.
  const queryId = { queryId: 'signalbox' };
  const query = { sql, parameters, query: { kind: 'RawNode' }, queryId };
  const { rows } = await connection.executeQuery(query);
  return rows as readonly Row[];
}

/** The connection that an ORM writes through. */
export function writeConnection(em: EntityManager): SqlConnection {
  return em.getConnection('write') as unknown as SqlConnection;
}

/**
 * Runs statements on connections of an ORM's pool, outside of any transaction.
 *
 * @param converted makes another error of what the database fails with
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
