import { type ChannelLayer, type ChannelMessage, reservedPrefix } from '../channel-layer/channel-layer.js';
import { ChangeLog, type LogUser } from '../log/change-log.js';
import type { Commit } from '../log/entry.js';
import type { Logger } from '../logger.js';
import type { Class } from '../metadata.js';
import type { EventPublisher, PublishedCommit } from '../observers/event-publisher.js';
import { type Observer, observedBy } from '../observers/observer.js';
import type { SignalReceivers } from '../observers/signal-receivers.js';
import type { LoggedRecheck, LoggedSignal } from '../orm/commit-buffer.js';
import { isConnectionFailure } from '../orm/orm-errors.js';
import type { OrmRoot } from '../orm/orm-root.js';
import type { ChangeLogSettings } from '../settings.js';
import type { SignalSent } from '../signals/signal-sent.js';
import type { ConnectionRules } from './connection-rules.js';

/** A signal on its way to the other processes, which no transaction carries. */
interface SignalMessage extends ChannelMessage, LoggedSignal {
  readonly type: 'signal';
  readonly from: string;
  readonly atOnce: boolean;
}

/** Every process has one channel in this group. */
const group = `${reservedPrefix}signals`;

/** What an application observes: the models of its observers, of what revokes their subscriptions, and of its connection rules. */
export interface ObservedModels {
  readonly all: readonly { readonly model?: Class }[];
  /** Those of which a row's state before a change is needed. */
  readonly varying: readonly { readonly model?: Class }[];
  /** Hidden and lazy properties that observers show or read. */
  shownOf(entity: Class): Iterable<string>;
  /** Those of which only has to be known whether they have changed. */
  comparedOf(entity: Class): Iterable<string>;
}

/**
 * What is committed, and what is sent as a signal -> the application's observers and rules. Commits come from the change log of each
 * database that has an observed model; signals come with the commit of their transaction or, outside of any, at once.
 */
export class ChangeFeed {
  readonly #channel: string;
  /** Of the databases that have an observed model; the first one's carries signals as well. */
  readonly #logs: ReadonlyMap<OrmRoot, ChangeLog>;
  readonly #detach: (() => Promise<void>)[];
  readonly #observesModels: boolean;

  constructor(
    /** The first one's transactions carry signals. */
    private readonly orms: readonly OrmRoot[],
    models: ObservedModels,
    private readonly receivers: SignalReceivers,
    private readonly publisher: EventPublisher,
    private readonly rules: ConnectionRules,
    private readonly layer: ChannelLayer,
    settings: ChangeLogSettings,
    private readonly logger: Logger,
    private readonly cause: () => string | undefined,
    private readonly missed: (reason: string) => void,
  ) {
    this.#channel = layer.newChannel();
    const isObserved = observedBy(models.all);
    const needsBefore = observedBy(models.varying);
    this.#observesModels = models.all.some(({ model }) => model !== undefined);
    const hasObserved = ({ em }: OrmRoot): boolean =>
      models.all.some(({ model }) => model && em.getMetadata().has(model));
    const used = orms.filter((orm, index) => hasObserved(orm) || (index === 0 && receivers.areHeard));
    this.#logs = new Map(used.map((orm) => [orm, ChangeLog.of(orm)]));
    const user: LogUser = {
      settings,
      logger,
      isObserved,
      needsBefore,
      shownOf: models.shownOf,
      comparedOf: models.comparedOf,
      receive: (commits, batch) => this.#receive(commits, batch),
      missed,
      cause,
    };
    this.#detach = [...this.#logs.values()].map((log) => log.attach(user));
    receivers.begin((sent, atOnce) => this.#take(sent, atOnce));
  }

  /**
   * Makes the change log where it is not there yet. A database that cannot be reached is not waited for: the first subscription tries
   * again.
   *
   * @throws ConfigurationError with the SQL to run, where the role may not make it
   */
  async start(): Promise<void> {
    // An application that observes signals alone may do without a database.
    if (!this.#observesModels) return;
    for (const log of this.#logs.values()) {
      try {
        await log.ready();
      } catch (error) {
        if (!isConnectionFailure(error)) throw error;
        this.#warnOfLog(error);
      }
    }
  }

  /** Begins to hear the signals that other processes send outside of transactions. */
  async join(): Promise<void> {
    await this.layer.connect(this.#channel, (message) => this.#hear(message as SignalMessage));
    await this.layer.add(group, this.#channel);
  }

  /** The read of the change log that a subscription which begins now begins behind. */
  async positionFor({ model }: Observer, isInTransaction: boolean): Promise<number> {
    const log = this.#logOf(model);
    if (!log) return 0;
    // Signals need no database, unless they are sent in a transaction of one.
    if (!model && !log.isReady) {
      void log.ready().catch((error) => isConnectionFailure(error) || this.#warnOfLog(error));
      return 0;
    }
    return isInTransaction && log.isReady ? log.batch : log.read();
  }

  /** Behind the commit of the transaction around the caller; at once outside of any. */
  recheck(recheck: LoggedRecheck): void {
    const [orm] = this.orms;
    const log = orm && this.#logs.get(orm);
    const publish = (): void => this.publisher.publish([{ changes: [], signals: [], rechecks: [recheck] }]);
    if (log) log.noteRecheck(orm.em, recheck, publish);
    else publish();
  }

  /** Resolves when all that was committed until now has been handed to the subscriptions. */
  async idle(): Promise<void> {
    await Promise.all([...this.#logs.values()].map((log) => log.idle()));
    await this.publisher.idle();
  }

  async stop(): Promise<void> {
    this.receivers.end();
    await Promise.all(this.#detach.map((detach) => detach()));
  }

  #warnOfLog(error: unknown): void {
    this.logger.warn('The change log could not be prepared.', { error });
  }

  #logOf(model: Observer['model']): ChangeLog | undefined {
    const orm = model ? this.orms.find(({ em }) => em.getMetadata().has(model)) : this.orms[0];
    return orm && this.#logs.get(orm);
  }

  #receive(commits: readonly Commit[], batch: number): void {
    const received = commits.map((commit): PublishedCommit => {
      const { signals, untold, ...rest } = commit;
      if (untold.length > 0) this.missed(`A transaction wrote too many rows of ${untold.join(', ')} to tell of them.`);
      return { ...rest, signals: this.#readSignals(signals, false) };
    });
    this.publisher.publish(received, batch);
    if (this.rules.areGiven) for (const { changes, signals } of received) void this.rules.apply(changes, signals);
  }

  /** One that cannot be read is left out, and those beside it are told. */
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

  /** To this process at once, and to the others by the channel layer. */
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
    const cause = this.cause();
    this.publisher.publish([{ changes: [], signals, rechecks: [], ...(cause !== undefined && { cause }) }]);
    if (this.rules.areGiven) void this.rules.apply([], signals);
  }
}
