import 'reflect-metadata';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import { MemoryLogger } from 'signalbox/testing';
import { Doorbell } from '#signalbox/log/doorbell.js';
import { LogReader } from '#signalbox/log/log-reader.js';
import { prepareLog } from '#signalbox/log/log-schema.js';
import { Notifications } from '#signalbox/log/notifications.js';
import { ConnectionPool } from '#signalbox/orm/connection-pool.js';
import { statementRunner } from '#signalbox/orm/statements.js';
import { defaultSettings } from '#signalbox/settings.js';
import { serveCommands } from '../../spec/support/programs.js';
import { now } from '../bars/moment.js';
import { percentile } from '../bars/report.js';
import type { LoggedCommit } from './writer.js';

export interface ReaderOptions {
  readonly url: string;
  readonly listen: boolean;
}

/** What a reader has seen since it was asked last. */
export interface ReaderFigures {
  readonly rows: number;
  readonly reads: number;
  readonly missed: readonly string[];
  /** Milliseconds from before the commit until the row is here. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds. */
  readonly cpu: number;
}

/** A process that reads the log and does nothing with it. */
const { url, listen }: ReaderOptions = JSON.parse(process.argv[2] ?? '{}');
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [],
  metadataProvider: ReflectMetadataProvider,
  discovery: { warnWhenNoEntities: false },
});
ConnectionPool.of(orm).watch();
const settings = { ...defaultSettings.changeLog, listen };
const logger = new MemoryLogger();
const prepare = () => prepareLog(orm.em, settings, logger);
let latencies: number[] = [];
let missed: string[] = [];
let began = { batch: 0, cpu: 0 };

const doorbell = new Doorbell(Notifications.of(orm), { listens: listen, logger, rung: () => reader.ring() });
const reader = new LogReader({
  read: statementRunner(orm.em, settings),
  bell: doorbell,
  prepare,
  settings,
  logger,
  receive({ rows }) {
    const arrived = now();
    for (const { entries } of rows) latencies.push(arrived - (JSON.parse(entries) as LoggedCommit).began);
  },
  missed: (reason) => missed.push(reason),
});
doorbell.start();
await prepare();
await reader.start();

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

const commands = {
  /** Resolves when all that was committed until now is here. */
  async idle(): Promise<void> {
    await reader.read();
  },
  begin(): void {
    latencies = [];
    missed = [];
    began = { batch: reader.batch, cpu: cpu() };
  },
  figures(): ReaderFigures {
    return {
      rows: latencies.length,
      reads: reader.batch - began.batch,
      missed,
      p50: percentile(latencies, 0.5),
      p99: percentile(latencies, 0.99),
      cpu: cpu() - began.cpu,
    };
  },
};

export type ReaderCommands = typeof commands;

serveCommands(commands, {});
