import 'reflect-metadata';
import { type Settings, writeChangeLog } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';
import { serveCommands } from './programs.js';
import { departed, openShelves, shelfWrites } from './shelf-service.js';
import { Thing } from './things.js';

export interface WorkerOptions {
  readonly url: string;
  readonly settings?: Partial<Settings['changeLog']>;
}

/** A process without consumers and routes, as those are that run jobs. */
const { url, settings = {} }: WorkerOptions = JSON.parse(process.argv[2] ?? '{}');
const orm = await openShelves(url);
const logger = new MemoryLogger();
const changes = await writeChangeLog({ orm, signals: [departed], settings, logger });
const writes = shelfWrites(orm);

const commands = {
  ...writes,
  /** By a statement that the ORM reports to nobody. */
  announceCounts: (ids: readonly number[], count: number) =>
    changes.announcer.announcing(Thing, ids, () =>
      orm.em.fork().nativeUpdate(Thing, { id: { $in: [...ids] } }, { count }),
    ),
  /** Dies before it can do anything else. */
  async createAndDie(shelf: number, id: number): Promise<void> {
    await writes.create(shelf, [id]);
    process.kill(process.pid, 'SIGKILL');
  },
  async end(): Promise<void> {
    await changes.close();
    await orm.close();
  },
};

export type WorkerCommands = typeof commands;

serveCommands(commands, {});
