import { type EntityClass, type EntityManager, RequestContext, TransactionContext } from '@mikro-orm/core';
import { runDetached } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';
import { ChangeCapture, type Watch } from '../orm/change-capture.js';
import { CommitBuffer, type LoggedRecheck, type LoggedSignal, type Stage } from '../orm/commit-buffer.js';
import { ConnectionPool } from '../orm/connection-pool.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { clientOf, RowReader } from '../orm/row-reader.js';
import { type RunStatement, type StatementConnection, statementRunner, writeConnection } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import type { Commit } from './entry.js';
import { decodeCommits } from './log-decoder.js';
import { type LogBatch, LogReader } from './log-reader.js';
import { prepareLog } from './log-schema.js';
import { append } from './log-writer.js';
import { Retention } from './retention.js';

/** An application that the changes of a database are read for. */
export interface LogUser {
  readonly settings: ChangeLogSettings;
  readonly logger: Logger;
  isObserved(entity: EntityClass<object>): boolean;
  /** Whether the row before a change is needed, and what its many-to-many relations held. */
  needsBefore(entity: EntityClass<object>): boolean;
  /** Hidden and lazy properties that its observers need. */
  shownOf(entity: EntityClass<object>): Iterable<string>;
  /** Hidden and lazy properties of which only has to be known whether they have changed. */
  comparedOf(entity: EntityClass<object>): Iterable<string>;
  /** @param batch the number of the read that found the commits, which are in their order */
  receive(commits: readonly Commit[], batch: number): void;
  /** Changes may have been missed: clients have to read anew. */
  missed(reason: string): void;
  /** The trace that is under way, as W3C `traceparent`. */
  cause(): string | undefined;
}

const logs = new WeakMap<object, ChangeLog>();

/**
 * The change log of a database: one writer and one reader of this process, whatever number of applications there are. A transaction
 * that changes a model which one of them observes, or sends a signal, leaves an entry behind its last write. The reader finds entries
 * in the order in which the database shows the commits to others, and those of this process like any other's.
 */
export class ChangeLog {
  readonly capture: ChangeCapture;
  readonly #em: EntityManager;
  readonly #pool: ConnectionPool;
  readonly #users = new Set<LogUser>();
  /** What the applications together want to know of each entity. */
  readonly #watches = new Map<EntityClass<object>, Watch | undefined>();
  readonly #buffer = new CommitBuffer();
  readonly #rows = new RowReader(
    ({ class: entity }) => ({
      shown: new Set([...this.#users].flatMap((user) => [...user.shownOf(entity)])),
      compared: new Set([...this.#users].flatMap((user) => [...user.comparedOf(entity)])),
    }),
    () => this.#first.settings.preparedStatements,
  );
  /** Undefined until the first application has begun, and behind the last. */
  #reader: LogReader | undefined;
  #retention: Retention | undefined;
  #preparing: Promise<void> | undefined;
  #isReady = false;
  #decoded: Promise<void> = Promise.resolve();
  /** Transactions that have an entry. */
  readonly #appended = new WeakSet<object>();

  private constructor(orm: OrmRoot) {
    this.#em = orm.em;
    this.#pool = ConnectionPool.of(orm);
    this.capture = new ChangeCapture(
      this.#buffer,
      this.#rows,
      (entity) => this.#watchOf(entity),
      (em) => this.#writeLoose(em),
    );
    orm.em.getEventManager().registerSubscriber(this.capture);
  }

  /**
   * @throws ConfigurationError for an ORM whose flushes have no transaction: what they change could not be told as one commit, or at all
   */
  static of(orm: OrmRoot): ChangeLog {
    const { config } = orm.em;
    for (const option of ['disableTransactions', 'implicitTransactions'] as const)
      if (config.get(option) === (option === 'disableTransactions')) throw withoutTransactions(option);
    const log = logs.get(orm.em.config) ?? new ChangeLog(orm);
    logs.set(orm.em.config, log);
    return log;
  }

  /** That of the database which a manager belongs to, where an application uses it. */
  static find(em: EntityManager): ChangeLog | undefined {
    return logs.get(em.config);
  }

  /** The number of the last read. */
  get batch(): number {
    return this.#reader?.batch ?? 0;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** @returns what ends it; the last application stops the reader */
  attach(user: LogUser): () => Promise<void> {
    this.#users.add(user);
    this.#forget();
    if (this.#users.size === 1) {
      this.#pool.watch();
      this.#pool.onCommit({
        committing: (transaction) => this.#append(transaction),
        committed: (transaction) => this.#committed(transaction),
      });
    }
    return async () => {
      this.#users.delete(user);
      this.#forget();
      if (this.#users.size === 0) await this.#stop();
    };
  }

  /** Other applications may want to know other things. */
  #forget(): void {
    this.#watches.clear();
    this.#rows.forget();
  }

  /**
   * Makes the log where it is not there yet, and begins to read it. Done once, unless it fails.
   *
   * @throws ConfigurationError with the SQL to run, where the role may not make it
   */
  ready(): Promise<void> {
    this.#preparing ??= runDetached(() => this.#prepare()).catch((error) => {
      this.#preparing = undefined;
      throw error;
    });
    return this.#preparing;
  }

  async #prepare(): Promise<void> {
    const { settings, logger } = this.#first;
    const em = this.#em;
    const prepare = (): Promise<void> => prepareLog(em, settings, logger);
    const run = statementRunner(em, settings);
    const read: RunStatement = (...parameters) => this.#converting(() => run(...parameters));
    const receive = (batch: LogBatch): void => this.#receive(batch);
    const reader = new LogReader({
      read,
      prepare,
      settings,
      logger,
      receive,
      missed: (reason) => this.#missed(reason),
    });
    await this.#converting(prepare);
    await reader.start();
    this.#reader = reader;
    this.#retention = new Retention(em, settings, logger);
    this.#retention.start();
    this.#isReady = true;
    await this.#readShapes();
  }

  /** Ahead of the first transaction that needs them. A table that is not there yet is looked at then. */
  async #readShapes(): Promise<void> {
    const em = this.#em;
    for (const meta of em.getMetadata().getAll().values()) {
      const watch = meta.class && meta.schema !== '*' ? this.#watchOf(meta.class) : undefined;
      if (watch) await this.#rows.shapeOf(em, clientOf(em), meta, undefined, watch.needsBefore).catch(() => {});
    }
  }

  /** What the database fails with is an error of MikroORM, as elsewhere. */
  async #converting<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#pool.converted(error);
    }
  }

  async #stop(): Promise<void> {
    this.#isReady = false;
    this.#preparing = undefined;
    this.#pool.onCommit(undefined);
    this.#pool.unwatch();
    await this.#retention?.stop();
    await this.#reader?.stop();
    this.#reader = undefined;
  }

  /** Several applications of one database have the settings and the logger of the one that came first. */
  get #first(): LogUser {
    const [first] = this.#users;
    if (!first) throw new Error('The change log has no application.');
    return first;
  }

  /**
   * A read that begins after this call: what was committed before is in it. One serves all who ask in the same turn.
   *
   * @returns its number
   */
  async read(): Promise<number> {
    await this.ready();
    return this.#running.read();
  }

  /** Resolves when all that was committed until now has been handed to the applications. */
  async idle(): Promise<void> {
    if (this.#reader) await this.#reader.read();
    await this.#decoded;
  }

  /** What waits for the transaction that a manager is in, if it is in one; told at once otherwise. @returns whether it waits */
  noteSignal(em: EntityManager, signal: LoggedSignal, otherwise: () => void): void {
    this.#note(em, otherwise, (stage) => stage.signals.push(signal));
  }

  noteRecheck(em: EntityManager, recheck: LoggedRecheck, otherwise: () => void): void {
    this.#note(em, otherwise, (stage) => stage.rechecks.push(recheck));
  }

  /** Without a log, nothing but this process can be told. */
  #note(em: EntityManager, otherwise: () => void, note: (stage: Stage) => void): void {
    const stage = em.getTransactionContext() && this.#buffer.of(em);
    if (!stage) otherwise();
    else if (this.#isReady) note(stage);
    else stage.works.push(otherwise);
  }

  afterCommit(em: EntityManager, work: () => unknown): void {
    this.#buffer.of(em).works.push(work);
  }

  /** Runs what waited for a commit. What it throws is logged. */
  async #run(work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#first.logger.error('Work that waited for a commit failed.', { error });
    }
  }

  /** Before the log is ready no subscription can have begun. */
  #watchOf(entity: EntityClass<object>): Watch | undefined {
    if (!this.#isReady) return undefined;
    if (this.#watches.has(entity)) return this.#watches.get(entity);
    const users = [...this.#users];
    const isObserved = users.some((user) => user.isObserved(entity));
    const watch = isObserved ? { needsBefore: users.some((user) => user.needsBefore(entity)) } : undefined;
    this.#watches.set(entity, watch);
    return watch;
  }

  /** Behind the last write of the outermost transaction. What is noted from now on makes another entry. */
  async #append(transaction: object): Promise<void> {
    const stage = this.#buffer.find(transaction);
    if (stage.isEmpty) return;
    await this.#write(transaction as StatementConnection, stage);
    this.#appended.add(transaction);
    stage.rows.clear();
    stage.signals.length = 0;
    stage.rechecks.length = 0;
  }

  async #write(connection: StatementConnection, stage: Stage): Promise<void> {
    const [cause] = [...this.#users].flatMap((user) => user.cause() ?? []);
    try {
      await append(this.#em, connection, this.#rows, stage, this.#first.settings, cause);
    } catch (error) {
      // A migration may have changed the tables that the statement reads.
      this.#rows.forget();
      throw error;
    }
  }

  #committed(transaction: object): void {
    const { works } = this.#buffer.take(transaction);
    if (this.#appended.has(transaction)) this.#reader?.ring();
    if (works.length > 0) runDetached(() => works.map((work) => this.#run(work)));
  }

  /** What was written outside of any transaction, or in one that the framework did not see begin, has its entry at once. */
  async #writeLoose(em: EntityManager): Promise<void> {
    const transaction = em.getTransactionContext();
    if (transaction && ('savepointName' in transaction || this.#pool.knows(transaction))) return;
    const stage = this.#buffer.of(em);
    if (stage.isEmpty) return;
    this.#buffer.take(transaction ?? em);
    await this.#write((transaction ?? writeConnection(em).getClient()) as StatementConnection, stage);
    // Nothing tells of the end of a transaction that MikroORM did not begin.
    if (transaction) this.#reader?.expect();
    else this.#reader?.ring();
  }

  get #running(): LogReader {
    if (!this.#reader) throw new Error('The change log is not read.');
    return this.#reader;
  }

  #receive({ number, rows }: LogBatch): void {
    const { logger } = this.#first;
    this.#decoded = this.#decoded.then(async () => {
      const commits = await decodeCommits({ em: this.#em, rows: this.#rows, logger }, rows);
      for (const user of this.#users) this.#handTo(user, commits, number);
    });
  }

  /** An application that fails on its commits has missed them; the others, and what comes later, do not notice. */
  #handTo(user: LogUser, commits: readonly Commit[], batch: number): void {
    try {
      user.receive(commits, batch);
    } catch (error) {
      user.logger.error('An application failed on commits of the change log.', { batch, error });
      user.missed('An application failed on commits of the change log.');
    }
  }

  #missed(reason: string): void {
    for (const user of this.#users) user.missed(reason);
  }
}

/**
 * Runs work once the outermost transaction around the caller has committed: never after a rollback, and of a savepoint only where it is
 * released. Outside of any transaction it runs at once. What it throws, or rejects with, is logged and reaches no caller; it runs
 * outside of the transaction and of the request.
 *
 * ```ts
 * order.isPaid = true;
 * afterCommit(() => mailer.send(order.id));
 * ```
 *
 * @throws ConfigurationError in a transaction of a database that no application uses, or one that MikroORM did not begin
 */
export function afterCommit(work: () => unknown): void {
  const em = managerInTransaction();
  const log = em && ChangeLog.find(em);
  if (em && !log)
    throw new ConfigurationError({
      class: 'afterCommit',
      reason: 'is called in a transaction of a database that no application was created for.',
      remedy: 'Call createApp({ orm, … }) before the transaction begins.',
    });
  if (em && log) log.afterCommit(em, work);
  else runDetached(() => void runUnwatched(work));
}

function withoutTransactions(option: string): ConfigurationError {
  return new ConfigurationError({
    class: 'createApp',
    member: 'orm',
    reason: `has \`${option}: ${option === 'disableTransactions'}\`, so that writes of observed models are not told with their commit.`,
    remedy: 'Leave the option out: MikroORM begins a transaction for each flush then.',
  });
}

function managerInTransaction(): EntityManager | undefined {
  const inContext = TransactionContext.currentTransactionContext()?.em;
  if (inContext) return inContext;
  const managers = RequestContext.currentRequestContext()?.map?.values() ?? [];
  return [...managers].find((em) => em.isInTransaction());
}

async function runUnwatched(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error));
  }
}
