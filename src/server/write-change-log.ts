import { ConfigurationError } from '../errors.js';
import { Announcer } from '../log/announcer.js';
import { ChangeLog, type LogUser } from '../log/change-log.js';
import { Logger } from '../logger.js';
import { hearNamed } from '../observers/signal-receivers.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { UnitOfWork } from '../orm/unit-of-work.js';
import { type ChangeLogSettings, completeSettings } from '../settings.js';
import type { AnySignal } from '../signals/signal.js';

/** Options of `writeChangeLog`. */
export interface ChangeLogWriterOptions {
  /** The result of `MikroORM.init`, with the entities of the applications. */
  readonly orm: OrmRoot;
  /** Signals that this process sends, each with a name. Default: none. */
  readonly signals?: readonly AnySignal[];
  /** The settings of the applications' change log: `preparedStatements` and `listen`, if a pooler is in front of the database. */
  readonly settings?: Partial<ChangeLogSettings>;
  /** The logger. Default: lines of JSON on standard error. */
  readonly logger?: Logger;
}

/** A process that only writes, and whose commits reach the observers of the applications. */
export interface ChangeLogWriter {
  /** Announces writes that the ORM does not report, like the injected Announcer of applications. */
  readonly announcer: Announcer;
  /** Ends it, after the change log has everything that was sent until now. The ORM stays open. */
  close(): Promise<void>;
}

/**
 * Makes the commits of a worker, a script or another HTTP service reach the observers of all applications, from now on. The process needs
 * the entities, but neither consumers nor routes. Changes are in the change log with their commit, even if the process ends right after it.
 *
 * ```ts
 * const orm = await MikroORM.init({ … });
 * const changes = await writeChangeLog({ orm });
 * …                                             // em.flush(), em.transactional(…)
 * await changes.close();
 * await orm.close();
 * ```
 *
 * A signal that is sent in a transaction reaches the observers with its commit, any other signal at once.
 *
 * @throws ConfigurationError if the database cannot have the change log, and for a signal without a name
 */
export async function writeChangeLog(options: ChangeLogWriterOptions): Promise<ChangeLogWriter> {
  const { orm, signals = [], logger = new Logger() } = options;
  if (signals.some(({ name }) => name === undefined)) throw withoutName();
  const { changeLog } = completeSettings({ changeLog: options.settings ?? {} });
  const log = ChangeLog.of(orm);
  const detach = log.attach(writer(changeLog, logger));
  try {
    await log.ready();
  } catch (error) {
    await detach();
    throw error;
  }
  const ends = signals.map((signal) =>
    hearNamed(signal, (sent) => {
      log.noteSignal(orm.em, sent, () => {
        log
          .tell({ signals: [sent] })
          .catch((error) => logger.error('A signal could not be written to the change log.', { error }));
      });
    }),
  );
  return {
    announcer: new Announcer(new UnitOfWork(orm.em)),
    close: async () => {
      for (const end of ends) end();
      await detach();
    },
  };
}

/** A user of the log that observes nothing: the table of observed models says what to log. */
function writer(settings: ChangeLogSettings, logger: Logger): LogUser {
  return {
    reads: false,
    settings,
    logger,
    isObserved: () => false,
    awaits: () => false,
    needsBefore: () => false,
    shownOf: () => [],
    comparedOf: () => [],
    receive: () => {},
    missed: () => {},
    isBehind: () => {},
    leftOut: () => {},
    pruningFailed: () => {},
    cause: undefined,
  };
}

function withoutName(): ConfigurationError {
  return new ConfigurationError({
    class: 'writeChangeLog',
    member: 'signals',
    reason: 'has a signal without a name: other processes could not recognize it.',
    remedy: "Name it where it is made: new Signal<…>('departed').",
  });
}
