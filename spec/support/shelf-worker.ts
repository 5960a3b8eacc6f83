import 'reflect-metadata';
import { serveCommands } from './programs.js';
import { departed, openShelves, shelfWrites } from './shelf-service.js';
import { writeChangeLog } from './write-change-log-until-merged.js';

/** A process without consumers and routes, as those are that run jobs. */
const { url }: { readonly url: string } = JSON.parse(process.argv[2] ?? '{}');
const orm = await openShelves(url);
const changes = await writeChangeLog({ orm, signals: [departed] });
const writes = shelfWrites(orm);

const commands = {
  ...writes,
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
