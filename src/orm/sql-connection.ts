// The parts of MikroORM's connections, of kysely and of `pg` that we use.

/** A client of kysely: that of a connection (`em.getConnection('write').getClient()`), or a transaction (`em.getTransactionContext()`). */
export interface StatementConnection {
  readonly isTransaction: boolean;
  executeQuery(
    query: { readonly sql: unknown; readonly [part: string]: unknown },
    options?: object,
  ): Promise<{ readonly rows: readonly unknown[] }>;
  getExecutor(): { readonly adapter: { readonly supportsMultipleConnections: boolean } };
}

/** A client of kysely that takes connections from the pool. */
export interface RootConnection extends StatementConnection {
  connection(): { execute<T>(work: (client: StatementConnection) => Promise<T>): Promise<T> };
}

/** MikroORM's context of a transaction; a savepoint is a context with a name. */
export interface Transaction extends StatementConnection {
  readonly savepointName?: string;
  commit(): Command;
}

/** A command of kysely that is not sent yet. */
export interface Command {
  execute(): Promise<void>;
}

/** MikroORM's connection to an SQL database. */
export interface SqlConnection {
  /** The options of this connection only. */
  readonly options: { readonly [name: string]: unknown };
  ensureConnection(): Promise<void>;
  getNativeClient(): Promise<unknown>;
  getClient(): RootConnection;
  getPlatform(): { getExceptionConverter(): { convertException(error: Error): Error } };
  transactional<T>(work: (transaction: StatementConnection) => Promise<T>, options?: object): Promise<T>;
  begin(options?: { readonly ctx?: object }): Promise<Transaction>;
  rollback(transaction: Transaction, ...more: unknown[]): Promise<void>;
}

/** A `pg.Pool`. */
export interface Pool {
  readonly Client: new (options: object) => LoneConnection & { connect(): Promise<unknown> };
  readonly options: { readonly max: number; readonly password?: unknown };
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  connect: {
    (connected: Connected): void;
    (connected?: undefined): Promise<PoolClient>;
  };
}

export type Connected = (
  error: Error | undefined,
  client: PoolClient | undefined,
  release: (failure?: unknown) => void,
) => void;

/** A connection of a `pg.Pool` that is checked out. */
export interface PoolClient {
  readonly processID?: number | null;
  /**
   * Whether the server has answered everything that was sent. `pg` rejects a statement before the server has reported the state of the
   * transaction.
   */
  readonly readyForQuery?: boolean;
  getTransactionStatus?(): string | null;
  query(query: object | string, values?: readonly unknown[]): unknown;
  release(failure?: unknown): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  once(event: 'end', listener: () => void): unknown;
}

/** A `pg.Client`: a connection to the database outside of the pool. */
export interface LoneConnection {
  readonly processID?: number | null;
  /** Sends a statement after the previous one has its answer: pg 9 takes one at a time. */
  query(sql: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly unknown[] }>;
  end(): Promise<void>;
  on(event: 'notification', listener: (notification: Notification) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
}

interface Notification {
  readonly channel: string;
  readonly payload?: string;
  /** The process id of the server connection that sent the notification. */
  readonly processId: number;
}

/** Whether a native client is a pool. PGlite has none, and takes one connection. */
export function isPool(client: unknown): client is Pool {
  const { connect, totalCount, Client } = Object(client) as Partial<Pool>;
  return typeof connect === 'function' && typeof totalCount === 'number' && typeof Client === 'function';
}
