import type { EntityManager, EntityMetadata } from '@mikro-orm/core';
import type { MikroORM } from '@mikro-orm/postgresql';
import { MemoryLogger } from 'signalbox/testing';
import { ChangeLog } from '#signalbox/log/change-log.js';
import type { ModelChange } from '#signalbox/log/entry.js';
import { LogReader, type LogReaderOptions } from '#signalbox/log/log-reader.js';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { primaryKeyOf, type StoredRow } from '#signalbox/orm/row.js';
import { statementRunner } from '#signalbox/orm/statements.js';
import { restore } from '#signalbox/orm/unit-of-work.js';
import { type ChangeLogSettings, completeSettings } from '#signalbox/settings.js';

/** A change as specs read it: values by the names of properties. */
export interface RecordedChange {
  readonly change: ModelChange;
  readonly pk: unknown;
  readonly before?: Readonly<Record<string, unknown>>;
  readonly after?: Readonly<Record<string, unknown>>;
}

export interface RecordedChanges {
  /** One list per commit; all that was committed before is in it. */
  commits(): Promise<readonly (readonly RecordedChange[])[]>;
  /** `['create Message 1', 'update Room 2']` of each commit. */
  told(): Promise<readonly (readonly string[])[]>;
}

/**
 * Records what the change log of a database says, for the specs of one file, as an application would hear it.
 *
 * @param needsBefore whether an observer needs each row as it was before its change
 */
export function recordChanges(
  database: { readonly orm: MikroORM },
  { needsBefore = true }: { readonly needsBefore?: boolean } = {},
): RecordedChanges {
  const recorded: (readonly ModelChange[])[] = [];
  let log: ChangeLog;
  let detach: () => Promise<void>;
  before(async () => {
    log = ChangeLog.of(database.orm);
    detach = log.attach({
      ...silentApplication,
      isObserved: () => true,
      needsBefore: () => needsBefore,
      receive: (commits) => recorded.push(...commits.map(({ changes }) => changes).filter(({ length }) => length > 0)),
    });
    await log.ready();
  });
  beforeEach(async () => {
    await log.idle();
    recorded.splice(0);
  });
  after(() => detach());
  const commits = async () => {
    await log.idle();
    return recorded.map((changes) => changes.map((change) => shown(database.orm, change)));
  };
  return { commits, told: async () => (await commits()).map((changes) => changes.map(sentence)) };
}

function shown(orm: MikroORM, change: ModelChange): RecordedChange {
  const { meta, schema, before, after } = change;
  const row = after ?? before;
  return {
    change,
    pk: row && primaryKeyOf(restore(orm.em.fork(), meta, row, schema)),
    ...(before && { before: properties(orm, meta, before) }),
    ...(after && { after: properties(orm, meta, after) }),
  };
}

function properties(orm: MikroORM, meta: EntityMetadata, { columns, members }: StoredRow): Record<string, unknown> {
  return { ...(orm.em.getDriver().mapResult({ ...columns } as never, meta) as object), ...members };
}

function sentence({ change, pk, before, after }: RecordedChange): string {
  const kind = before ? (after ? 'update' : 'delete') : 'create';
  return `${kind} ${change.entity.name} ${JSON.stringify(pk)}`;
}

/** What an application tells the change log about itself: this one reads it, observes no model, and does nothing with what it reads. */
export const silentApplication: Parameters<ChangeLog['attach']>[0] = {
  reads: true,
  settings: completeSettings().changeLog,
  logger: new MemoryLogger(),
  isObserved: () => false,
  needsBefore: () => false,
  awaits: () => true,
  shownOf: () => [],
  comparedOf: () => [],
  receive: () => {},
  missed: () => {},
  isBehind: () => {},
  leftOut: () => {},
  pruningFailed: () => {},
  cause: () => undefined,
};

/** A reader of the change log, which the spec begins and ends: it has not heard of other processes, and gives its rows to `receive`. */
export function logReaderOf(
  em: EntityManager,
  options: Partial<LogReaderOptions> & { readonly settings?: ChangeLogSettings } = {},
): LogReader {
  const { settings = completeSettings().changeLog, logger = new MemoryLogger() } = options;
  return new LogReader({
    read: statementRunner(em, settings),
    prepare: () => prepareLog(em, settings, logger),
    bell: { isHeard: true },
    settings,
    logger,
    receive: () => {},
    missed: () => {},
    ...options,
  });
}
