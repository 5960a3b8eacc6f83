import {
  type EntityClass,
  type EntityManager,
  type EntityMetadata,
  RequestContext,
  TransactionContext,
} from '@mikro-orm/core';
import { currentWork, runDetached } from '../async-context.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logger.js';
import { ChangeCapture, type Watch } from '../orm/change-capture.js';
import { CommitBuffer, type LoggedRecheck, type LoggedSignal, type Stage } from '../orm/commit-buffer.js';
import { ConnectionPool } from '../orm/connection-pool.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { RowReader } from '../orm/row-reader.js';
import {
  clientOf,
  type RunStatement,
  type StatementConnection,
  statementRunner,
  writeConnection,
} from '../orm/statements.js';
import type { Logged } from '../orm/write-statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { Doorbell } from './doorbell.js';
import type { Commit } from './entry.js';
import { decodeCommits, RepeatedEntries } from './log-decoder.js';
import { type LogBatch, LogReader } from './log-reader.js';
import { prepareLog } from './log-schema.js';
import { append } from './log-writer.js';
import { LooseEntries, type LooseEntry } from './loose-entries.js';
import { Notifications } from './notifications.js';
import { declareModels, type ObservedModel, readModels } from './observed-models.js';
import { Retention } from './retention.js';

/** An application that the changes of a database are read for, or a process that only writes. */
export interface LogUser {
  /** Whether it wants to hear what was committed. */
  readonly reads: boolean;
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
  /** Called after each read with how far the reader is behind the database, in milliseconds. */
  isBehind(lag: number): void;
  /** The trace that is under way, as W3C `traceparent`. */
  cause(): string | undefined;
}

const logs = new WeakMap<object, ChangeLog>();

const insertStatement = { name: 'tell', text: 'insert into signalbox.log (entries) select unnest($1::text[])' };

/** How often what is observed is confirmed and learnt, and where no ring tells of news, in milliseconds. */
const refreshInterval = 15 * 60_000;
const unheardRefreshInterval = 5_000;

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
    ({ class: entity, className }) => {
      const { shown, compared } = this.#wishesOf(entity, className);
      return { shown: new Set(shown), compared: new Set(compared) };
    },
    () => this.#first.settings.preparedStatements,
  );
  /** What the applications of all processes observe. Empty where it is not known. */
  #observed: ReadonlyMap<string, ObservedModel> = new Map();
  readonly #loose = new LooseEntries(
    (entries) => this.#writeEntries(entries),
    () => this.#first.logger,
  );
  /** Undefined until the first application has begun, and behind the last. */
  #reader: LogReader | undefined;
  #retention: Retention | undefined;
  #doorbell: Doorbell | undefined;
  /** Of the next look at what is observed. */
  #timer: NodeJS.Timeout | undefined;
  #refreshed: Promise<void> = Promise.resolve();
  #preparing: Promise<void> | undefined;
  /** Resolves when the last preparation, or the end of it all, is over, whatever became of it. */
  #prepared: Promise<void> = Promise.resolve();
  #isReady = false;
  #decoded: Promise<void> = Promise.resolve();
  readonly #repeated = new RepeatedEntries();
  /** Transactions that have an entry. */
  readonly #appended = new WeakSet<object>();

  private constructor(private readonly orm: OrmRoot) {
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
    const option = hinderingOption(orm);
    if (option) throw withoutTransactions(option);
    const log = logs.get(orm.em.config) ?? new ChangeLog(orm);
    logs.set(orm.em.config, log);
    return log;
  }

  static isPossible(orm: OrmRoot): boolean {
    return hinderingOption(orm) === undefined;
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

  /** For how many milliseconds the reader has been behind the database; 0 where it is not. */
  get lag(): number {
    return this.#reader?.lag ?? 0;
  }

  /** @returns what ends it; the last application stops the reader */
  attach(user: LogUser): () => Promise<void> {
    this.#users.add(user);
    this.#preparing = undefined;
    this.#forget();
    if (this.#users.size === 1) {
      this.#pool.watch();
      this.#pool.onCommit({
        committing: (transaction) => this.#append(transaction),
        committed: (transaction) => this.#committed(transaction),
      });
    }
    return async () => {
      if (this.#users.size === 1) await this.#loose.stop();
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
   * Makes the log where it is not there yet, says what the applications of this process observe, and begins to read. Done once for
   * each application, unless it fails.
   *
   * @throws ConfigurationError with the SQL to run, where the role may not make it
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
    await this.#converting(() => prepareLog(this.#em, settings, logger));
    this.#doorbell ??= this.#hang();
    const isReading = [...this.#users].some(({ reads }) => reads);
    if (isReading && !this.#reader) await this.#beginToRead();
    await this.#declare();
    this.#isReady = true;
    this.#refreshLater();
    await this.#readShapes();
  }

  /** Before the reader takes its position, so that what is committed behind that rings. */
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

  async #beginToRead(): Promise<void> {
    const em = this.#em;
    const { settings, logger } = this.#first;
    // It reads once more where the last application has just ended.
    const run = statementRunner(em, settings);
    const reader = new LogReader({
      read: (...parameters) => this.#converting(() => run(...parameters)),
      prepare: async () => {
        await prepareLog(em, settings, logger);
        await this.#declare();
      },
      isRung: () => this.#doorbell?.isHeard ?? false,
      settings,
      logger,
      receive: (batch) => this.#receive(batch),
      missed: (reason) => this.#missed(reason),
      isBehind: (lag) => {
        for (const user of this.#users) user.isBehind(lag);
      },
    });
    await reader.start();
    this.#reader = reader;
    this.#retention = new Retention(em, settings, logger);
    this.#retention.start();
  }

  readonly #run: RunStatement = (...parameters) => statementRunner(this.#em, this.#first.settings)(...parameters);

  /** Says what the applications of this process observe, and learns what those of others do. */
  async #declare(): Promise<void> {
    const models = [...this.#em.getMetadata().getAll().values()].flatMap((meta) => this.#wishedOf(meta));
    const isNews = await this.#converting(() => declareModels(this.#run, models));
    await this.#learn();
    if (isNews) this.#doorbell?.ring('observed');
  }

  async #learn(): Promise<void> {
    const observed = await this.#converting(() => readModels(this.#run));
    const isNews = JSON.stringify([...observed]) !== JSON.stringify([...this.#observed]);
    this.#observed = observed;
    if (isNews) this.#forget();
  }

  /** Every few minutes, and when another process rings: it may observe what none did before. */
  #refresh(): void {
    clearTimeout(this.#timer);
    if (!this.#isReady) return;
    this.#refreshed = this.#refreshed.then(async () => {
      if (!this.#isReady) return;
      const { logger } = this.#first;
      try {
        await this.#declare();
      } catch (error) {
        // The last application may have ended meanwhile.
        if (!this.#isReady) return;
        logger.warn('What other processes observe could not be read. What was known of it counts on.', { error });
      }
      this.#refreshLater();
    });
  }

  #refreshLater(): void {
    clearTimeout(this.#timer);
    if (!this.#isReady) return;
    const wait = this.#doorbell?.isHeard ? refreshInterval : unheardRefreshInterval;
    runDetached(() => {
      this.#timer = setTimeout(() => this.#refresh(), wait).unref();
    });
  }

  #wishedOf(meta: EntityMetadata): readonly ObservedModel[] {
    const { class: entity, className: model } = meta;
    const users = [...this.#users].filter(({ isObserved }) => isObserved(entity));
    if (!entity || users.length === 0) return [];
    const needsBefore = users.some((user) => user.needsBefore(entity));
    const shown = unique(users.flatMap((user) => [...user.shownOf(entity)]));
    const compared = unique(users.flatMap((user) => [...user.comparedOf(entity)]));
    return [{ model, needsBefore, shown, compared }];
  }

  /** Ahead of the first transaction that needs them. A table that is not there yet is looked at then. */
  async #readShapes(): Promise<void> {
    const em = this.#em;
    for (const meta of em.getMetadata().getAll().values()) {
      const watch =
        meta.class && meta.schema !== '*' && this.#observed.size > 0 ? this.#watchOf(meta.class) : undefined;
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

  /** An application that attaches meanwhile begins when all of it has ended. */
  #stop(): Promise<void> {
    this.#isReady = false;
    this.#preparing = undefined;
    this.#pool.onCommit(undefined);
    this.#pool.unwatch();
    const stopped = this.#prepared.then(() => this.#end());
    this.#prepared = stopped.catch(() => {});
    return stopped;
  }

  async #end(): Promise<void> {
    this.#isReady = false;
    clearTimeout(this.#timer);
    await this.#refreshed;
    await this.#retention?.stop();
    await this.#reader?.stop();
    this.#reader = undefined;
    await this.#doorbell?.stop();
    this.#doorbell = undefined;
    this.#observed = new Map();
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

  /**
   * Tells the other processes of what is no part of a transaction. Kept while the database is away.
   *
   * @returns what resolves once it stands in the log, or is kept. Not to be awaited within a transaction: where the database has one
   * connection, the entry waits for the end of it
   */
  tell(entry: LooseEntry): Promise<void> {
    return this.#loose.add(entry);
  }

  async #writeEntries(entries: readonly string[]): Promise<void> {
    await this.ready();
    await this.#converting(() => this.#run(insertStatement, [entries]));
    this.#ring();
  }

  afterCommit(em: EntityManager, work: () => unknown): void {
    this.#buffer.of(em).works.push(work);
  }

  /** Runs what waited for a commit. What it throws is logged. */
  async #runWork(work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#first.logger.error('Work that waited for a commit failed.', { error });
    }
  }

  /**
   * What is to be noted of a model, for an application of whichever process. Nothing before the log is ready: no subscription can have
   * begun. Everything in a process that only writes, where no application has said yet what is observed.
   */
  #watchOf(entity: EntityClass<object>): Watch | undefined {
    if (!this.#isReady) return undefined;
    if (this.#watches.has(entity)) return this.#watches.get(entity);
    const users = [...this.#users].filter(({ isObserved }) => isObserved(entity));
    const others = this.#observed.get(this.#em.getMetadata().find(entity)?.className ?? '');
    const isUnknown = this.#observed.size === 0 && ![...this.#users].some(({ reads }) => reads);
    const isWatched = users.length > 0 || others !== undefined || isUnknown;
    const needsBefore = isUnknown || others?.needsBefore || users.some((user) => user.needsBefore(entity));
    const watch = isWatched ? { needsBefore } : undefined;
    this.#watches.set(entity, watch);
    return watch;
  }

  #wishesOf(entity: EntityClass<object>, className: string): Pick<ObservedModel, 'shown' | 'compared'> {
    const others = this.#observed.get(className);
    const users = [...this.#users];
    return {
      shown: [...users.flatMap((user) => [...user.shownOf(entity)]), ...(others?.shown ?? [])],
      compared: [...users.flatMap((user) => [...user.comparedOf(entity)]), ...(others?.compared ?? [])],
    };
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
    if (this.#appended.has(transaction)) this.#ring();
    if (works.length > 0) runDetached(() => works.map((work) => this.#runWork(work)));
  }

  /**
   * What a statement that writes one row by itself has to leave here. Undefined where the row cannot be told of by that statement alone:
   * its links are told with it, or it is a link of two others.
   */
  async oneRow(meta: EntityMetadata): Promise<{ readonly logged: Logged | undefined } | undefined> {
    const watch = meta.class && this.#watchOf(meta.class);
    if (meta.schema === '*' || this.capture.isLink(this.#em, meta)) return undefined;
    if (!watch) return { logged: undefined };
    const shape = await this.#rows.shapeOf(this.#em, clientOf(this.#em), meta, undefined, watch.needsBefore);
    return shape.members.length > 0 ? undefined : { logged: { shape, needsBefore: watch.needsBefore } };
  }

  /** The first parameters of such a statement: the entry up to the key of its row, what stands for one that is too long, and how long it may be. */
  headOfEntry({ shape }: Logged, isNew: boolean): readonly [head: string, untold: string, largest: number] {
    const { className } = shape.meta;
    const [cause] = [...this.#users].flatMap((user) => user.cause() ?? []);
    const origin = currentWork.getStore()?.id;
    const head = { v: 1, ...(cause !== undefined && { cause }) };
    const row = {
      class: className,
      shape: shape.id,
      list: 0,
      ...(isNew && { isNew }),
      ...(origin !== undefined && { origin }),
    };
    const start = `${JSON.stringify({ ...head, rows: [row] }).slice(0, -3)},"key":`;
    return [
      start,
      JSON.stringify({ ...head, rows: [], after: [], untold: [className] }),
      this.#first.settings.largestEntry,
    ];
  }

  /** Such a statement has committed. */
  wroteRow(): void {
    this.#ring();
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
    else this.#ring();
  }

  /** Something was committed: for the reader of this process, and those of others. */
  #ring(): void {
    this.#reader?.ring();
    this.#doorbell?.ring();
  }

  get #running(): LogReader {
    if (!this.#reader) throw new Error('The change log is not read.');
    return this.#reader;
  }

  #receive({ number, rows }: LogBatch): void {
    const { logger } = this.#first;
    // The others have not been told of what MikroORM does not see the end of.
    if (this.#reader?.isExpecting) this.#doorbell?.ring();
    this.#decoded = this.#decoded.then(async () => {
      const decoding = { em: this.#em, rows: this.#rows, logger, repeated: this.#repeated };
      const commits = await decodeCommits(decoding, rows);
      for (const user of this.#users) if (user.reads) this.#handTo(user, commits, number);
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

function hinderingOption({ em: { config } }: OrmRoot): string | undefined {
  if (config.get('disableTransactions') === true) return 'disableTransactions';
  return config.get('implicitTransactions') === false ? 'implicitTransactions' : undefined;
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)];
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
