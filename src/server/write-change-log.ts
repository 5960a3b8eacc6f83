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
  /** What `MikroORM.init` gave, with the entities of the applications. */
  readonly orm: OrmRoot;
  /** Signals that this process sends; each has a name. Default: none. */
  readonly signals?: readonly AnySignal[];
  /** As in the applications: `preparedStatements` and `listen` where a pooler stands before the database. */
  readonly settings?: Partial<ChangeLogSettings>;
  /** Default: lines of JSON on the standard error output. */
  readonly logger?: Logger;
}

/** A process that only writes, as far as its commits are told. */
export interface ChangeLogWriter {
  /** Announces writes that the ORM does not report, as the injected one does in applications. */
  readonly announcer: Announcer;
  /** Ends it, once what was sent until now stands in the log. The ORM stays open. */
  close(): Promise<void>;
}

/**
 * For a worker, a script or another HTTP service: from now on the observers of all applications are called for what this process commits. It
 * needs the entities and neither consumers nor routes. What is committed stands in the change log with the commit, whatever becomes of
 * the process behind it.
 *
 * ```ts
 * const orm = await MikroORM.init({ … });
 * const changes = await writeChangeLog({ orm });
 * …                                             // em.flush(), em.transactional(…)
 * await changes.close();
 * await orm.close();
 * ```
 *
 * A signal that is sent in a transaction reaches the observers with its commit, any other at once.
 *
 * @throws ConfigurationError where the database cannot have the change log, and for a signal without a name
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

/** Observes nothing: the table of what applications observe says what is to be logged. */
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
    reason: 'has a signal without a name: no other process would know which one it is.',
    remedy: "Name it where it is made: new Signal<…>('departed').",
  });
}
