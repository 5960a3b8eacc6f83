import 'reflect-metadata';
import { setTimeout as pause } from 'node:timers/promises';
import { ReflectMetadataProvider } from '@mikro-orm/decorators/legacy';
import { MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { MemoryLogger } from 'signalbox/testing';
import { Doorbell } from '#signalbox/log/doorbell.js';
import { Notifications } from '#signalbox/log/notifications.js';
import { serveCommands } from '../../spec/support/programs.js';
import { now } from '../bars/moment.js';

/** What a row of the log says here. The text makes it as long as an entry of one changed row. */
export interface LoggedCommit {
  readonly began: number;
  readonly text: string;
}

const connections = 8;
const text = 'x'.repeat(300);

/** A process that writes rows and their log by hand: what an ORM costs on top says nothing about readers. */
const { url, gather }: { readonly url: string; readonly gather: number } = JSON.parse(process.argv[2] ?? '{}');
const pool = new pg.Pool({ connectionString: url, max: connections, application_name: 'writer' });
await pool.query(
  'create table if not exists note (id int generated always as identity primary key, text text not null)',
);
const orm = await MikroORM.init({
  clientUrl: url,
  entities: [],
  metadataProvider: ReflectMetadataProvider,
  discovery: { warnWhenNoEntities: false },
});
const logger = new MemoryLogger();
const doorbell = new Doorbell(Notifications.of(orm), { listens: false, logger, rung: () => {} });

let rungAt = 0;
let isGathering = false;

/** At once where the last ring is long ago, else when it is. */
function ring(): void {
  if (isGathering) return;
  isGathering = true;
  const wait = rungAt + gather - performance.now();
  if (wait <= 0) ringNow();
  else setTimeout(ringNow, wait);
}

function ringNow(): void {
  isGathering = false;
  rungAt = performance.now();
  doorbell.ring();
}

async function commit(): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query({ name: 'note', text: 'insert into note (text) values ($1)', values: [text] });
    const entry: LoggedCommit = { began: now(), text };
    await client.query({
      name: 'log',
      text: 'insert into signalbox.log (entries) values ($1)',
      values: [JSON.stringify(entry)],
    });
    await client.query('commit');
  } finally {
    client.release();
  }
  ring();
}

const commands = {
  /** @returns how many commits there were in that time; fewer than asked for where the machine is too slow */
  async write(seconds: number, perSecond: number): Promise<number> {
    const start = performance.now();
    let begun = 0;
    let ended = 0;
    const next = async (): Promise<void> => {
      while (performance.now() - start < seconds * 1_000) {
        const due = start + (begun * 1_000) / perSecond - performance.now();
        begun += 1;
        if (due > 1) await pause(due);
        await commit();
        ended += 1;
      }
    };
    await Promise.all(Array.from({ length: connections }, next));
    return ended;
  },
  cpu(): number {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
};

export type WriterCommands = typeof commands;

serveCommands(commands, {});
