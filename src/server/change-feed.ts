import { randomUUID } from 'node:crypto';
import { runDetached } from '../async-context.js';
import type { ConnectionCommand } from '../authentication/connection-registry.js';
import type { TicketStore } from '../authentication/tickets.js';
import { type ChannelLayer, type ChannelMessage, reservedPrefix } from '../channel-layer/channel-layer.js';
import type { Clock } from '../clock.js';
import { ChangeLog, type LogUser } from '../log/change-log.js';
import type { Commit } from '../log/entry.js';
import { TableTicketStore } from '../log/table-ticket-store.js';
import type { Logger } from '../logger.js';
import type { Class } from '../metadata.js';
import { type EventPublisher, isOfModel, type PublishedCommit } from '../observers/event-publisher.js';
import { type Observer, observedBy } from '../observers/observer.js';
import type { SignalReceivers } from '../observers/signal-receivers.js';
import type { LoggedRecheck, LoggedSignal } from '../orm/change-capture.js';
import { isEmbedded, usesDatabase } from '../orm/database-facts.js';
import { databaseRemedy, isConnectionFailure } from '../orm/orm-errors.js';
import type { OrmRoot } from '../orm/orm-root.js';
import type { ChangeLogSettings } from '../settings.js';
import type { SignalSent } from '../signals/signal-sent.js';
import type { ConnectionRules } from './connection-rules.js';

/** A signal outside of any transaction, on its way to the other processes. */
interface SignalMessage extends ChannelMessage, LoggedSignal {
  readonly type: 'signal';
  readonly from: string;
  readonly atOnce: boolean;
}

/** The first and the longest wait, in milliseconds, before a change log that could not be prepared is tried again. */
const firstRetry = 200;
const longestRetry = 5_000;

/** Every process has one channel in this group. */
const group = `${reservedPrefix}signals`;

/** Events that may have been missed, so that their clients have to read again. */
export interface Gap {
  readonly reason: string;
  /** Whether it concerns the subscriptions to an observer. */
  readonly concerns: (observer: Observer) => boolean;
  /** Whether it concerns all connections with a user: a connection command, or a change for a connection rule, may have been missed. */
  readonly concernsUsers: boolean;
}

/** What an application observes: the models of its observers, of the rules that revoke subscriptions, and of its connection rules. */
export interface ObservedModels {
  readonly all: readonly { readonly model?: Class }[];
  /** The models whose rows are needed as they were before a change. */
  readonly varying: readonly { readonly model?: Class }[];
  /** Hidden and lazy properties whose values observers need. */
  shownOf(entity: Class): Iterable<string>;
  /** Properties whose values are not needed: the log only says whether they have changed. */
  comparedOf(entity: Class): Iterable<string>;
}

/**
 * Brings commits, signals and connection commands of all processes to the application's observers, rules and connections. Commits come from
 * the change log of each database with an observed model. Signals come with the commit of their transaction or, outside of any, at once.
 * Connection commands come through the log of the first database.
 */
export class ChangeFeed {
  /** Identifies this application among the others. */
  readonly #source = randomUUID();
  readonly #channel: string;
  /** The change logs of the databases with an observed model; the first database's also carries signals and connection commands. */
  readonly #logs: ReadonlyMap<OrmRoot, ChangeLog>;
  readonly #detach: (() => Promise<void>)[];
  readonly #hasObserved: ({ em }: OrmRoot) => boolean;
  readonly #retries = new Set<NodeJS.Timeout>();

  constructor(
    /** The databases; transactions of the first one carry signals. */
    private readonly orms: readonly OrmRoot[],
    models: ObservedModels,
    private readonly receivers: SignalReceivers,
    private readonly publisher: EventPublisher,
    /** Undefined if there are no connection rules. */
    private readonly rules: ConnectionRules | undefined,
    private readonly apply: (command: ConnectionCommand, at: number) => void,
    private readonly layer: ChannelLayer,
    private readonly settings: ChangeLogSettings,
    private readonly logger: Logger,
    private readonly cause: (() => string | undefined) | undefined,
    private readonly missed: (gap: Gap) => void,
    meters: Pick<LogUser, 'isBehind' | 'leftOut' | 'pruningFailed'>,
  ) {
    this.#channel = layer.newChannel();
    const isObserved = observedBy(models.all);
    const needsBefore = observedBy(models.varying);
    this.#hasObserved = ({ em }) => models.all.some(({ model }) => model && em.getMetadata().has(model));
    const used = orms.filter((orm, index) => this.#hasObserved(orm) || (index === 0 && canHaveLog(orm)));
    this.#logs = new Map(used.map((orm) => [orm, ChangeLog.of(orm)]));
    const user: LogUser = {
      reads: true,
      settings,
      logger,
      isObserved,
      needsBefore,
      awaits: (entity) => publisher.isHeard(entity) || this.rules?.concern(entity) === true,
      shownOf: models.shownOf,
      comparedOf: models.comparedOf,
      receive: (commits, batch) => this.#receive(commits, batch),
      missed: (reason) => this.#missedAll(reason),
      ...meters,
      cause,
    };
    // The logs of other databases carry nothing; they only report commits to code that waits for one.
    const others = orms.filter((orm) => !this.#logs.has(orm) && canHaveLog(orm)).map((orm) => ChangeLog.of(orm));
    this.#detach = [
      ...[...this.#logs.values()].map((log) => log.attach(user)),
      ...others.map((log) => log.attach({ ...user, reads: false })),
    ];
    receivers.begin((sent, atOnce) => this.#take(sent, atOnce));
  }

  /** For how many milliseconds the application has been behind its databases. */
  get lag(): number {
    return Math.max(0, ...[...this.#logs.values()].map(({ lag }) => lag));
  }

  /**
   * Makes the change log if it is missing. If a database cannot be reached, start-up does not wait for it, and tries again later.
   *
   * @throws ConfigurationError with the SQL to run, if a model is observed and the role may not make the log
   */
  async start(): Promise<void> {
    for (const [orm, log] of this.#logs) {
      try {
        await log.ready();
      } catch (error) {
        if (!isConnectionFailure(error) && this.#hasObserved(orm)) throw error;
        this.#warnOfLog(error);
        if (isConnectionFailure(error)) this.#tryAgain(log, firstRetry);
      }
    }
  }

  #missedAll(reason: string): void {
    this.missed({ reason, concerns: () => true, concernsUsers: true });
  }

  /** Tries again, and reports a gap: messages of other processes were not received until now. */
  #tryAgain(log: ChangeLog, wait: number): void {
    const retry = (): void => {
      this.#retries.delete(timer);
      log.ready().then(
        () => this.#missedAll('The change log could not be reached when the application started.'),
        () => this.#tryAgain(log, Math.min(wait * 2, longestRetry)),
      );
    };
    const timer = runDetached(() => setTimeout(retry, wait)).unref();
    this.#retries.add(timer);
  }

  /** The ticket store that all processes share; undefined if the database is embedded in one process, or if no database has a log. */
  tickets(clock: Clock): TicketStore | undefined {
    const [orm] = this.orms;
    const log = orm && this.#logs.get(orm);
    if (!log || isEmbedded(orm)) return undefined;
    return new TableTicketStore(orm.em, this.settings, () => log.ready(), clock, this.logger);
  }

  /** Begins to receive signals that other processes send outside of transactions. */
  async join(): Promise<void> {
    await this.layer.connect(this.#channel, (message) => this.#hear(message as SignalMessage));
    await this.layer.add(group, this.#channel);
  }

  /** The read of the change log after which a subscription that begins now receives events. */
  async positionFor({ model }: Observer, isInTransaction: boolean): Promise<number> {
    const log = this.#logOf(model);
    if (!log) return 0;
    // Signals need no database, unless they are sent in one of its transactions.
    if (!model && !log.isReady) {
      void log.ready().catch((error) => isConnectionFailure(error) || this.#warnOfLog(error));
      return 0;
    }
    return isInTransaction && log.isReady ? log.batch : log.read();
  }

  /** Sends a recheck after the commit of the caller's transaction, or at once outside of any. */
  recheck(recheck: LoggedRecheck): void {
    const [orm] = this.orms;
    const log = orm && this.#logs.get(orm);
    const publish = (): void => this.publisher.publish([{ changes: [], signals: [], rechecks: [recheck] }]);
    const tell = (): void => {
      publish();
      log
        ?.tell({ rechecks: [{ ...recheck, source: this.#source }] })
        .catch((error) => this.#warnOfLoss('A recheck', error));
    };
    if (log) log.noteRecheck(orm.em, recheck, tell);
    else publish();
  }

  /**
   * Sends a command to the other processes. Resolves when the change log has it or keeps it for later; within a transaction at once,
   * because the entry may wait for the transaction's end.
   */
  async broadcast(command: ConnectionCommand, at: number): Promise<void> {
    const [orm] = this.orms;
    const log = orm && this.#logs.get(orm);
    if (!orm || !log) return;
    const told = log.tell({ commands: [{ command, source: this.#source, at }] });
    if (!orm.em.isInTransaction()) return told;
    told.catch((error) => this.#warnOfLoss('A connection command', error));
  }

  /** Resolves when everything that is committed by now has been handed to the subscriptions. */
  async idle(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.idle()));
    await this.publisher.idle();
  }

  async stop(): Promise<void> {
    for (const timer of this.#retries) clearTimeout(timer);
    this.receivers.end();
    await Promise.all(this.#detach.map((detach) => detach()));
  }

  #warnOfLog(error: unknown): void {
    const remedy = isConnectionFailure(error) ? { remedy: databaseRemedy } : {};
    this.logger.warn('The change log could not be prepared.', { error, ...remedy });
  }

  /** @param what could not be written: `A connection command` */
  #warnOfLoss(what: string, error: unknown): void {
    this.logger.error(`${what} could not be written to the change log, so other processes do not carry it out.`, {
      error,
    });
  }

  #logOf(model: Observer['model']): ChangeLog | undefined {
    const orm = model ? this.orms.find(({ em }) => em.getMetadata().has(model)) : this.orms[0];
    return orm && this.#logs.get(orm);
  }

  #receive(commits: readonly Commit[], batch: number): void {
    const received = commits.map((commit): PublishedCommit => {
      const { signals, untold, commands, rechecks, ...rest } = commit;
      // Commands apply before any event of this commit and of later ones.
      for (const { command, source, at } of commands) if (source !== this.#source) this.apply(command, at);
      if (untold.length > 0) this.#missedRowsOf(untold);
      const others = rechecks.filter(({ source }) => source !== this.#source);
      const published = {
        ...rest,
        rechecks: others,
        signals: signals.length > 0 ? this.#readSignals(signals, false) : [],
      };
      this.rules?.apply(published.changes, published.signals);
      return published;
    });
    this.publisher.publish(received, batch);
  }

  /**
   * Reports missed rows of these classes only to observers of these classes, and to users only if a rule on these classes concerns them.
   */
  #missedRowsOf(entities: Commit['untold']): void {
    const isUntold = (model: Class | undefined): boolean => entities.some((entity) => isOfModel({ entity }, model));
    this.missed({
      reason: `A transaction changed rows of ${entities.map(({ name }) => name).join(', ')} that cannot be sent as events.`,
      concerns: ({ model, revocations }) => isUntold(model) || revocations.some((each) => isUntold(each.model)),
      concernsUsers: entities.some((entity) => this.rules?.concern(entity) === true),
    });
  }

  /** Reads signals; one that cannot be read is left out, and the others are delivered. */
  #readSignals(sent: readonly LoggedSignal[], atOnce: boolean): readonly SignalSent[] {
    return this.receivers.received(sent, atOnce, (error, signal) =>
      this.logger.error('A signal could not be read.', { signal, error }),
    );
  }

  #take(sent: LoggedSignal, atOnce: boolean): void {
    const [orm] = this.orms;
    const log = orm && this.#logs.get(orm);
    const tell = (): void => this.#tell(sent, atOnce);
    if (!log || atOnce) tell();
    else log.noteSignal(orm.em, sent, tell);
  }

  /** Sends a signal to this process at once, and to the others through the channel layer. */
  #tell(sent: LoggedSignal, atOnce: boolean): void {
    this.#receiveSignal(sent, atOnce);
    const message: SignalMessage = { ...sent, type: 'signal', from: this.#channel, atOnce };
    this.layer
      .sendToGroup(group, message)
      .catch((error) => this.logger.error('A signal could not be sent to other processes.', { error }));
  }

  #hear(message: SignalMessage): void {
    if (message.from !== this.#channel) this.#receiveSignal(message, message.atOnce);
  }

  #receiveSignal(sent: LoggedSignal, atOnce: boolean): void {
    const signals = this.#readSignals([sent], atOnce);
    const cause = this.cause?.();
    this.publisher.publish([{ changes: [], signals, rechecks: [], ...(cause !== undefined && { cause }) }]);
    this.rules?.apply([], signals);
  }
}

function canHaveLog(orm: OrmRoot): boolean {
  return usesDatabase(orm) && ChangeLog.isPossible(orm);
}
