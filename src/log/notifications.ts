import { randomUUID } from 'node:crypto';
import { runDetached } from '../async-context.js';
import { machineDeadlines } from '../clock.js';
import { ConnectionPool } from '../orm/connection-pool.js';
import type { OrmRoot } from '../orm/orm-root.js';
import type { LoneConnection } from '../orm/sql-connection.js';
import { runStatement, writeConnection } from '../orm/statements.js';

/** Receives what any process notifies on one channel. None of its methods may throw. */
export interface NotificationListener {
  /** @param isOwn whether this process sent it */
  heard(payload: string, isOwn: boolean): void;
  /** Called when the listener receives everything from now on. It missed what was sent since `down`. */
  up(): void;
  /** Called when the listener no longer receives anything, and again after each failed attempt to reconnect. */
  down(error: unknown): void;
}

/** The first and the longest wait after a failed attempt to connect, in milliseconds. */
const firstRetry = 100;
const longestRetry = 5_000;

/** How often the connection is checked, and how long it may take to answer, in milliseconds. */
const checkInterval = 15_000;
const patience = 5_000;

/** All listeners receive the payloads of one statement in their order, with the commit of the statement. */
const notifyStatement = { text: 'select pg_notify($1, payload) from unnest($2::text[]) payload' };

const all = new WeakMap<object, Notifications>();

/**
 * PostgreSQL's LISTEN and NOTIFY of one database. It holds one connection of this process outside of the pool, as long as it has a
 * listener. Delivery is at most once: messages that are sent while the connection is lost are lost too, and `up` reports that.
 *
 * A database of one connection, such as PGlite, has one process: there is nothing to listen to.
 *
 * A pooler in transaction mode accepts LISTEN and delivers no notification. So the connection sends itself a notification before it counts
 * as up, and again every 15 s, which also finds a connection that died silently.
 */
export class Notifications {
  readonly #listeners = new Map<string, Set<NotificationListener>>();
  /** The channel on which the connection sends itself notifications. */
  readonly #self = `signalbox_${randomUUID()}`;
  #connection: LoneConnection | undefined;
  #isUp = false;
  #isOpening = false;
  #retryAfter = firstRetry;
  #timer: NodeJS.Timeout | undefined;
  #echo: PromiseWithResolvers<void> | undefined;

  private constructor(private readonly orm: OrmRoot) {}

  static of(orm: OrmRoot): Notifications {
    const known = all.get(orm.em.config) ?? new Notifications(orm);
    all.set(orm.em.config, known);
    return known;
  }

  /** Whether the connection receives everything at the moment. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** @returns a function that ends it; the last listener closes the connection */
  listen(channel: string, listener: NotificationListener): () => Promise<void> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    if (this.#isUp) void this.#join(channel, listener);
    else void runDetached(() => this.#open());
    return () => this.#leave(channel, listener);
  }

  /**
   * Sends payloads to all listening processes; this process need not listen itself. Listeners receive equal payloads of one call once.
   *
   * @param payloads at most 7,999 bytes each; if one is longer, none is sent
   * @throws what the database throws
   */
  async notify(channel: string, payloads: readonly string[]): Promise<void> {
    if (payloads.length === 0) return;
    if (this.#isUp && this.#connection) {
      await this.#connection.query(notifyStatement.text, [channel, payloads]);
      return;
    }
    const connection = writeConnection(this.orm.em);
    await connection.ensureConnection();
    await runDetached(() => runStatement(connection.getClient(), notifyStatement, [channel, payloads]));
  }

  async #join(channel: string, listener: NotificationListener): Promise<void> {
    try {
      await this.#connection?.query(`listen "${channel}"`);
      if (this.#isUp) listener.up();
    } catch (error) {
      this.#lose(error);
    }
  }

  async #leave(channel: string, listener: NotificationListener): Promise<void> {
    const listeners = this.#listeners.get(channel);
    listeners?.delete(listener);
    if (listeners?.size !== 0) return;
    this.#listeners.delete(channel);
    if (this.#listeners.size === 0) await this.#close();
    else if (this.#isUp) await this.#connection?.query(`unlisten "${channel}"`).catch(() => {});
  }

  async #open(): Promise<void> {
    if (this.#isOpening || this.#connection || this.#listeners.size === 0) return;
    this.#isOpening = true;
    clearTimeout(this.#timer);
    try {
      const pool = ConnectionPool.of(this.orm);
      if (await pool.hasConnections()) await this.#begin(await pool.openAlone(patience));
    } catch (error) {
      this.#lose(error);
    } finally {
      this.#isOpening = false;
    }
  }

  async #begin(connection: LoneConnection): Promise<void> {
    this.#connection = connection;
    connection.on('notification', ({ channel, payload = '', processId }) =>
      this.#hear(channel, payload, processId === connection.processID),
    );
    connection.on('error', (error) => this.#lose(error, connection));
    connection.on('end', () => this.#lose(new Error('The database ended the connection.'), connection));
    await connection.query(`listen "${this.#self}"`);
    await this.#hearItself(connection);
    // Channels that are added meanwhile come last.
    for (const channel of this.#listeners.keys()) await connection.query(`listen "${channel}"`);
    if (this.#listeners.size === 0) await this.#close();
    else this.#rise(connection);
  }

  #rise(connection: LoneConnection): void {
    if (connection !== this.#connection) return;
    this.#isUp = true;
    this.#retryAfter = firstRetry;
    this.#checkLater(connection);
    for (const listener of this.#everyone()) listener.up();
  }

  #checkLater(connection: LoneConnection): void {
    runDetached(() => {
      this.#timer = setTimeout(() => void this.#check(connection), checkInterval).unref();
    });
  }

  async #check(connection: LoneConnection): Promise<void> {
    try {
      await this.#hearItself(connection);
      if (connection === this.#connection) this.#checkLater(connection);
    } catch (error) {
      this.#lose(error, connection);
    }
  }

  /** @throws Error if the notification does not come back in time */
  async #hearItself(connection: LoneConnection): Promise<void> {
    const echo = Promise.withResolvers<void>();
    this.#echo = echo;
    const error = (): Error =>
      new Error('The connection passes no notifications on. A pooler in transaction mode does not.');
    const heard = machineDeadlines.limit(echo.promise, { milliseconds: patience, error });
    heard.catch(() => {});
    await connection.query(notifyStatement.text, [this.#self, ['']]);
    await heard;
  }

  #hear(channel: string, payload: string, isOwn: boolean): void {
    if (channel === this.#self) this.#echo?.resolve();
    for (const listener of this.#listeners.get(channel) ?? []) listener.heard(payload, isOwn);
  }

  #lose(error: unknown, connection = this.#connection): void {
    if (connection !== this.#connection) return;
    this.#drop(error);
    for (const listener of this.#everyone()) listener.down(error);
    if (this.#listeners.size === 0) return;
    runDetached(() => {
      this.#timer = setTimeout(() => void this.#open(), this.#retryAfter).unref();
    });
    this.#retryAfter = Math.min(this.#retryAfter * 2, longestRetry);
  }

  #drop(error: unknown): void {
    clearTimeout(this.#timer);
    this.#echo?.reject(error);
    this.#isUp = false;
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection) void connection.end().catch(() => {});
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined;
    this.#isUp = false;
    this.#retryAfter = firstRetry;
    await connection?.end().catch(() => {});
  }

  #everyone(): readonly NotificationListener[] {
    return [...this.#listeners.values()].flatMap((listeners) => [...listeners]);
  }
}
