import type { EntityClass, EntityManager, EntityMetadata } from '@mikro-orm/core';
import { currentWork, runDetached } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';
import {
  ChangeCapture,
  CommitBuffer,
  type LoggedRecheck,
  type LoggedSignal,
  type Stage,
} from '../orm/change-capture.js';
import { ConnectionPool } from '../orm/connection-pool.js';
import { isEmbedded } from '../orm/database-facts.js';
import { hasUpsertHooks } from '../orm/model-upsert.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { hiddenClass, hiddenFault, RowReader } from '../orm/row-reader.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { clientOf, type RunStatement, statementRunner, writeConnection } from '../orm/statements.js';
import type { Logged } from '../orm/write-statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { Doorbell } from './doorbell.js';
import type { Commit } from './entry.js';
import { decodeCommits, RepeatedEntries } from './log-decoder.js';
import { type LogBatch, LogReader } from './log-reader.js';
import { codeOf, notAllowed, prepareLog } from './log-schema.js';
import { append, headOfEntries, headOfEntry } from './log-writer.js';
import { LooseEntries, type LooseEntry } from './loose-entries.js';
import { Notifications } from './notifications.js';
import { ObservedModels, type ObservingUser } from './observed-models.js';
import { Retention } from './retention.js';

/** An application that receives the changes of a database, or a process that only writes them. */
export interface LogUser extends ObservingUser {
  readonly settings: ChangeLogSettings;
  readonly logger: Logger;
  /**
   * @param commits the commits of one read, in their order
   * @param batch the number of that read
   */
  receive(commits: readonly Commit[], batch: number): void;
  /** Called when changes may have been missed: clients have to read again. */
  missed(reason: string): void;
  /** Whether a subscription or a rule needs changes of the class' rows at the moment. */
  awaits(entity: EntityClass<object>): boolean;
  /** Called with the reader's lag behind the database, in milliseconds, when it has changed. */
  isBehind(lag: number): void;
  /** Called for each commit whose changes are not delivered, because its entries could not be read. */
  leftOut(): void;
  /** Called for each failed attempt to empty old parts of the log. */
  pruningFailed(): void;
  /** The current trace, as W3C `traceparent`. Undefined without tracing. */
  readonly cause: (() => string | undefined) | undefined;
}

/** The entries of one transaction. */
interface Appended {
  readonly ids: number[];
  /** The classes of its rows. */
  readonly entities: Set<EntityClass<object>>;
  /** Whether it contains more than rows. */
  hasMore: boolean;
}

const logs = new WeakMap<object, ChangeLog>();

/** The logs that applications use, in the order in which their use began. */
const inUse = new Set<ChangeLog>();

const insertStatement = { name: 'tell', text: 'insert into signalbox.log (entries) select unnest($1::text[])' };

/**
 * The interval in milliseconds in which this process confirms what it observes and reads what other processes observe; the shorter one
 * applies while it receives no rings.
 */
const refreshInterval = 15 * 60_000;
const unheardRefreshInterval = 5_000;

/**
 * The change log of a database: one writer and one reader per process, for any number of applications. A transaction that changes an
 * observed model or sends a signal appends an entry after its last write. The reader finds entries in the order in which the database makes
 * the commits visible, and treats those of its own process like all others.
 */
export class ChangeLog {
  readonly capture: ChangeCapture;
  readonly #em: EntityManager;
  readonly #pool: ConnectionPool;
  readonly #users = new Set<LogUser>();
  readonly #buffer = new CommitBuffer();
  readonly #observed: ObservedModels;
  readonly #rows: RowReader;
  readonly #loose = new LooseEntries(
    (entries) => this.#writeEntries(entries),
    () => this.#first.logger,
  );
  /** Undefined before the first application begins and after the last one ends. */
  #reader: LogReader | undefined;
  #retention: Retention | undefined;
  #doorbell: Doorbell | undefined;
  /** Fires the next look at what is observed. */
  #timer: NodeJS.Timeout | undefined;
  #refreshed: Promise<void> = Promise.resolve();
  #preparing: Promise<void> | undefined;
  /** Resolves when the last preparation, or the stop of the whole log, is over, with or without success. */
  #prepared: Promise<void> = Promise.resolve();
  #isReady = false;
  #decoded: Promise<void> = Promise.resolve();
  readonly #repeated = new RepeatedEntries();
  /** The entries of transactions that are about to commit. */
  readonly #appended = new WeakMap<object, Appended>();

  private constructor(private readonly orm: OrmRoot) {
    this.#em = orm.em;
    this.#pool = ConnectionPool.of(orm);
    this.#observed = new ObservedModels(orm.em, this.#users);
    this.#rows = new RowReader((meta) => this.#observed.hiddenColumns(meta));
    this.capture = new ChangeCapture(orm.em, wantsTransaction, this.#buffer, this.#rows, (em) => this.#writeLoose(em));
    orm.em.getEventManager().registerSubscriber(this.capture);
  }

  /**
   * @throws ConfigurationError for an ORM whose flushes have no transaction: events could not be sent with the commit of their changes, or
   * could not be sent at all
   */
  static of(orm: OrmRoot): ChangeLog {
    const option = hinderingOption(orm);
    if (option) throw withoutTransactions(option);
    const log = logs.get(orm.em.config) ?? new ChangeLog(orm);
    logs.set(orm.em.config, log);
    return log;
  }

  static isPossible(orm: OrmRoot): boolean {
    return hinderingOption(orm) === undefined;
  }

  /** The log of the database to which a manager belongs, if an application uses it. */
  static find(em: EntityManager): ChangeLog | undefined {
    return logs.get(em.config);
  }

  /** The log of the application that began last in this process. */
  static get inUse(): ChangeLog | undefined {
    return [...inUse].at(-1);
  }

  /** The number of the last complete read. */
  get batch(): number {
    return this.#reader?.batch ?? 0;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** For how many milliseconds the reader has been behind the database; 0 if it is not. */
  get lag(): number {
    return this.#reader?.lag ?? 0;
  }

  /** @returns a function that detaches the application; the last one stops the reader */
  attach(user: LogUser): () => Promise<void> {
    this.#users.add(user);
    inUse.add(this);
    this.#preparing = undefined;
    this.#lookAgain();
    if (this.#users.size === 1) {
      this.#rows.hasNames = user.settings.preparedStatements;
      this.#pool.watch();
      this.#pool.onCommit({
        committing: (transaction, runLast) => this.#append(transaction, runLast),
        committed: (transaction) => this.#committed(transaction),
      });
    }
    return async () => {
      if (this.#users.size === 1) await this.#loose.stop();
      this.#users.delete(user);
      if (this.#users.size === 0) inUse.delete(this);
      this.#lookAgain();
      if (this.#users.size === 0) await this.#stop();
    };
  }

  /**
   * Switches capture on or off. Before the log is ready nothing is noted, because no subscription can have begun; after the last
   * application has ended, nothing is noted either.
   */
  #become({ isReady }: { readonly isReady: boolean }): void {
    this.#isReady = isReady;
    this.#lookAgain();
  }

  /** The set of applications has changed, and with it what they observe. */
  #lookAgain(): void {
    this.capture.watches = this.#isReady ? this.#observed.watches() : new Map();
    this.#rows.forget();
  }

  /**
   * Makes the log if it is missing, declares what the applications of this process observe, and begins to read. It runs once for each
   * application, unless it fails.
   *
   * @throws ConfigurationError with the SQL to run, if the role may not make the log
   */
  ready(): Promise<void> {
    if (this.#preparing) return this.#preparing;
    const before = this.#prepared;
    const preparing = runDetached(async () => {
      await before;
      await this.#prepare();
    });
    this.#preparing = preparing;
    this.#prepared = preparing.catch(() => {
      if (this.#preparing === preparing) this.#preparing = undefined;
    });
    return preparing;
  }

  async #prepare(): Promise<void> {
    const { settings, logger } = this.#first;
    await this.#makeTables();
    // The doorbell comes before the reader takes its position, so that commits after that position ring.
    if (!this.#doorbell && !isEmbedded(this.orm)) this.#doorbell = this.#hang();
    const isReading = [...this.#users].some(({ reads }) => reads);
    if (isReading && !this.#reader) {
      this.#reader = await this.#startReader();
      this.#retention = new Retention(this.#em, settings, logger, () => {
        for (const user of this.#users) user.pruningFailed();
      });
      this.#retention.start();
    }
    await this.#exchange();
    this.#become({ isReady: true });
    this.#refreshLater();
    await this.#readShapes();
  }

  /** The database's failures become errors of MikroORM here too. */
  async #makeTables(): Promise<void> {
    const { settings, logger } = this.#first;
    await prepareLog(this.#em, settings, logger).catch((error) => {
      throw this.#pool.converted(error);
    });
  }

  #hang(): Doorbell {
    const { settings, logger } = this.#first;
    const doorbell = new Doorbell(Notifications.of(this.orm), {
      listens: settings.listen,
      logger,
      rung: (ring) => (ring === 'log' ? this.#reader?.ring() : this.#refresh()),
    });
    doorbell.start();
    return doorbell;
  }

  /** Whether we hear of every commit. A database of one connection has only this process, and needs no bell. */
  get #bell(): { readonly isHeard: boolean } {
    return this.#doorbell ?? { isHeard: this.#first.settings.listen };
  }

  async #startReader(): Promise<LogReader> {
    const { settings, logger } = this.#first;
    const reader = new LogReader({
      // The reader reads once more if the last application has just ended.
      read: this.#runner(settings),
      prepare: async () => {
        await this.#makeTables();
        await this.#exchange();
      },
      bell: this.#bell,
      settings,
      logger,
      receive: (batch) => this.#receive(batch),
      missed: (reason) => this.#missed(reason),
      isBehind: (lag) => {
        for (const user of this.#users) user.isBehind(lag);
      },
    });
    await reader.start();
    return reader;
  }

  #runner(settings: ChangeLogSettings): RunStatement {
    return statementRunner(this.#em, settings, (error) => this.#pool.converted(error));
  }

  readonly #run: RunStatement = (...parameters) => this.#runner(this.#first.settings)(...parameters);

  /** Declares what the applications of this process observe, and reads what other processes observe. */
  async #exchange(): Promise<void> {
    if (await this.#observed.declare(this.#run)) this.#doorbell?.ring('observed');
    if (await this.#observed.learn(this.#run)) this.#lookAgain();
  }

  /** Runs every few minutes, and when another process rings: that process may observe a model that no one observed before. */
  #refresh(): void {
    clearTimeout(this.#timer);
    if (!this.#isReady) return;
    this.#refreshed = this.#refreshed.then(async () => {
      if (!this.#isReady) return;
      const { logger } = this.#first;
      try {
        await this.#exchange();
      } catch (error) {
        // The last application may have ended meanwhile.
        if (!this.#isReady) return;
        logger.warn('The models that other processes observe could not be read; those read before stay in use.', {
          error,
        });
      }
      this.#refreshLater();
    });
  }

  #refreshLater(): void {
    clearTimeout(this.#timer);
    if (!this.#isReady) return;
    const wait = this.#bell.isHeard ? refreshInterval : unheardRefreshInterval;
    runDetached(() => {
      this.#timer = setTimeout(() => this.#refresh(), wait).unref();
    });
  }

  /**
   * Reads the shapes of rows before the first transaction needs them. The shape of a table that does not exist yet is read when it is
   * needed.
   */
  async #readShapes(): Promise<void> {
    const em = this.#em;
    if (!this.#observed.isKnown) return;
    for (const [entity, { needsBefore }] of this.capture.watches) {
      const meta = em.getMetadata(entity) as EntityMetadata;
      if (meta.schema !== '*') await this.#rows.shapeOf(em, clientOf(em), meta, undefined, needsBefore).catch(() => {});
    }
  }

  /** Stops the log. An application that attaches meanwhile begins after everything has stopped. */
  #stop(): Promise<void> {
    this.#become({ isReady: false });
    this.#preparing = undefined;
    this.#pool.onCommit(undefined);
    this.#pool.unwatch();
    const stopped = this.#prepared.then(() => this.#end());
    this.#prepared = stopped.catch(() => {});
    return stopped;
  }

  async #end(): Promise<void> {
    this.#become({ isReady: false });
    clearTimeout(this.#timer);
    await this.#refreshed;
    await this.#retention?.stop();
    await this.#reader?.stop();
    this.#reader = undefined;
    await this.#doorbell?.stop();
    this.#doorbell = undefined;
    this.#observed.forget();
  }

  /** Several applications of one database share the settings and the logger of the first. */
  get #first(): LogUser {
    const [first] = this.#users;
    if (!first) throw new Error('The change log has no application.');
    return first;
  }

  /**
   * Runs a read that begins after this call, and so finds everything committed before. Calls of the same turn of the event loop share one
   * read.
   *
   * @returns the number of the read
   */
  async read(): Promise<number> {
    await this.ready();
    return this.#running.read();
  }

  /** Resolves when everything that is committed by now has been handed to the applications. */
  async idle(): Promise<void> {
    if (this.#reader) await this.#reader.read();
    await this.#decoded;
  }

  /**
   * Keeps a signal until the manager's transaction commits.
   *
   * @param otherwise called at once if the manager is in no transaction
   */
  noteSignal(em: EntityManager, signal: LoggedSignal, otherwise: () => void): void {
    this.#note(em, otherwise, (stage) => stage.signals.push(signal));
  }

  noteRecheck(em: EntityManager, recheck: LoggedRecheck, otherwise: () => void): void {
    this.#note(em, otherwise, (stage) => stage.rechecks.push(recheck));
  }

  /** Notes something for the commit. Without a log, only this process can receive it. */
  #note(em: EntityManager, otherwise: () => void, note: (stage: Stage) => void): void {
    // Nothing reports whether a transaction commits that MikroORM did not begin.
    const stage = this.#hearsEndOf(em.getTransactionContext()) && this.#buffer.of(em);
    if (!stage) otherwise();
    else if (this.#isReady) note(stage);
    else stage.works.push(otherwise);
  }

  /**
   * Sends other processes an entry that is no part of a transaction. The entry is kept while the database cannot be reached.
   *
   * @returns a promise that resolves when the log has the entry, or when it is kept. Do not await it within a transaction: on a database of
   * one connection, the entry waits for the end of that transaction
   */
  tell(entry: LooseEntry): Promise<void> {
    return this.#loose.add(entry);
  }

  async #writeEntries(entries: readonly string[]): Promise<void> {
    await this.ready();
    await this.#run(insertStatement, [entries]);
    this.#ring();
  }

  /** @returns false, and keeps nothing, if we do not see the end of the manager's transaction */
  afterCommit(em: EntityManager, work: () => unknown): boolean {
    if (!this.#hearsEndOf(em.getTransactionContext())) return false;
    this.#buffer.of(em).works.push(work);
    return true;
  }

  #hearsEndOf(transaction: object | undefined): boolean {
    return transaction !== undefined && this.#users.size > 0 && this.#pool.knows(transaction);
  }

  /** Runs work that waited for a commit, or needs none. Its errors are logged. */
  async runWork(work: () => unknown): Promise<void> {
    const { logger } = this;
    try {
      await work();
    } catch (error) {
      logger?.error('Work that waited for a commit failed.', { error });
    }
  }

  /** Undefined without applications. Work may end after the last of them. */
  get logger(): Logger | undefined {
    const [first] = this.#users;
    return first?.logger;
  }

  /** Appends the entry after the last write of the outermost transaction. Later notes make another entry. */
  async #append(transaction: object, runLast: RunStatement): Promise<void> {
    const stage = this.#buffer.find(transaction);
    if (stage.isEmpty) return;
    const id = await this.#write(transaction as StatementConnection, stage, runLast);
    const appended = this.#appended.get(transaction) ?? { ids: [], entities: new Set(), hasMore: false };
    this.#appended.set(transaction, appended);
    appended.ids.push(id);
    for (const { meta } of stage.rows.values()) appended.entities.add(meta.class);
    if (stage.signals.length + stage.rechecks.length > 0) appended.hasMore = true;
    stage.rows.clear();
    stage.signals.length = 0;
    stage.rechecks.length = 0;
  }

  async #write(connection: StatementConnection, stage: Stage, run?: RunStatement): Promise<number> {
    try {
      return await append(this.#em, connection, this.#rows, stage, this.#first.settings, this.#cause, run);
    } catch (error) {
      // A migration may have changed the tables that the statement reads.
      this.#rows.forget();
      throw entryFault(error) ?? error;
    }
  }

  get #cause(): string | undefined {
    for (const { cause } of this.#users) {
      const traced = cause?.();
      if (traced !== undefined) return traced;
    }
    return undefined;
  }

  #committed(transaction: object): void {
    const appended = this.#appended.get(transaction);
    if (appended) this.#ringFor(appended);
    const { works } = this.#buffer.take(transaction);
    if (works.length > 0) runDetached(() => works.map((work) => this.runWork(work)));
  }

  /**
   * What a statement needs that writes rows and appends their entry by itself. Undefined if the rows' events need more than that statement:
   * the members of their relations, or the two rows that they link.
   */
  async oneRow(meta: EntityMetadata): Promise<{ readonly logged: Logged | undefined } | undefined> {
    const watch = this.capture.watches.get(meta.class);
    if (meta.schema === '*' || this.capture.isLink(meta)) return undefined;
    if (!watch) return { logged: undefined };
    const shape = await this.#rows.shapeOf(this.#em, clientOf(this.#em), meta, undefined, watch.needsBefore);
    return shape.members.length > 0 ? undefined : { logged: { shape, needsBefore: watch.needsBefore } };
  }

  /** The first parameters of a statement that writes one row and its entry. */
  headOfEntry({ shape }: Logged, isNew: boolean): ReturnType<typeof headOfEntry> {
    return headOfEntry(shape, isNew, this.#first.settings, this.#cause, currentWork.getStore()?.id);
  }

  /** The first parameters of a statement that writes several rows and their entry. */
  headOfEntries({ shape }: Logged, isNew: boolean): ReturnType<typeof headOfEntries> {
    return headOfEntries(shape, isNew, this.#first.settings, this.#cause, currentWork.getStore()?.id);
  }

  /**
   * Called when such a statement has committed.
   *
   * @param id the id of its entry, from the database: null if nothing has changed
   */
  wroteRow(meta: EntityMetadata, id: unknown): void {
    if (id !== null) this.#ringFor({ ids: [Number(id)], entities: new Set([meta.class]), hasMore: false });
  }

  /** Appends at once what was written outside of any transaction, or in one that the framework did not see begin. */
  async #writeLoose(em: EntityManager): Promise<void> {
    const transaction = em.getTransactionContext();
    if (transaction && this.#pool.knows(transaction)) return;
    const stage = this.#buffer.of(em);
    if (stage.isEmpty) return;
    this.#buffer.take(transaction ?? em);
    await this.#write((transaction ?? writeConnection(em).getClient()) as StatementConnection, stage);
    // Nothing reports the end of a transaction that MikroORM did not begin.
    if (transaction) this.#reader?.expect();
    else this.#ring();
  }

  /** Wakes the readers after a commit. If no application of this process needs the entries, its reader may read them later. */
  #ringFor({ ids, entities, hasMore }: Appended): void {
    const isAwaited = hasMore || [...this.#users].some((user) => [...entities].some((entity) => user.awaits(entity)));
    if (isAwaited) this.#reader?.ring();
    else this.#reader?.pass(ids);
    this.#doorbell?.ring();
  }

  /** Wakes the readers of this process and of others after a commit. */
  #ring(): void {
    this.#reader?.ring();
    this.#doorbell?.ring();
  }

  get #running(): LogReader {
    if (!this.#reader) throw new Error('The change log is not read.');
    return this.#reader;
  }

  #receive({ number, rows, isExpected }: LogBatch): void {
    const { logger, settings } = this.#first;
    // The commit's end was not seen by MikroORM, so the other processes have received no ring for it.
    if (isExpected) this.#doorbell?.ring();
    this.#decoded = this.#decoded.then(async () => {
      const decoding = {
        em: this.#em,
        rows: this.#rows,
        logger,
        repeated: this.#repeated,
        retryTimeLimit: settings.retryTimeLimit,
        converted: (error: unknown) => this.#pool.converted(error),
        leftOut: () => {
          for (const user of this.#users) if (user.reads) user.leftOut();
        },
      };
      const commits = await decodeCommits(decoding, rows);
      for (const user of this.#users) if (user.reads) this.#handTo(user, commits, number);
    });
  }

  /** If an application throws on its commits, it counts as having missed them; other applications and later commits are not affected. */
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

/** Makes the row of an upsert and its entry one commit. */
function wantsTransaction(em: EntityManager, meta: EntityMetadata): boolean {
  const capture = logs.get(em.config)?.capture;
  return capture?.watches.has(meta.class) === true && !hasUpsertHooks(em, meta, capture);
}

/** The error that the application can mend if its entry could not be written: what its transaction may see or do in the database. */
function entryFault(error: unknown): ConfigurationError | undefined {
  const hidden = hiddenClass(error);
  if (hidden !== undefined) return hiddenFault(hidden, error);
  // A trigger's refusal at COMMIT, which is sent together with the entry, has a context (`where`).
  const isOwn = codeOf(error) === notAllowed && Reflect.get(error as Error, 'where') === undefined;
  return isOwn ? withoutRights(error as Error) : undefined;
}

function withoutRights(cause: Error): ConfigurationError {
  const fault = {
    class: 'createApp',
    member: 'orm',
    reason: `has a transaction whose role may not write its entry of the change log: ${cause.message}.`,
    remedy:
      'Grant the role what writing needs, `usage` on the schema signalbox, `insert` and `select (id)` on signalbox.log, and `select` on the tables ' +
      'of observed models; or run `reset role` after the last flush of the transaction.',
  };
  return new ConfigurationError(fault, { cause });
}

function hinderingOption({ em: { config } }: OrmRoot): string | undefined {
  if (config.get('disableTransactions') === true) return 'disableTransactions';
  return config.get('implicitTransactions') === false ? 'implicitTransactions' : undefined;
}

function withoutTransactions(option: string): ConfigurationError {
  return new ConfigurationError({
    class: 'createApp',
    member: 'orm',
    reason: `has \`${option}: ${option === 'disableTransactions'}\`, so that writes of observed models are not sent as events with their commit.`,
    remedy: 'Leave the option out: MikroORM begins a transaction for each flush then.',
  });
}
