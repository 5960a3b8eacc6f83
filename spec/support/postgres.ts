import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

type Keeper = ChildProcessByStdio<Writable, Readable, Readable>;

const KEEPER = fileURLToPath(new URL('postgres-keeper.js', import.meta.url));

export interface PostgresServer {
  /** Of the administrator's database; specs use the address that `createDatabase` gives. */
  readonly url: string;
  createDatabase(name: string): Promise<string>;
  /**
   * Ends the server and all its sessions, for now: `fast` with a word to each of them, `immediate` as after a crash of one of its processes,
   * `kill` by killing all of them.
   */
  halt(mode: 'fast' | 'immediate' | 'kill'): Promise<void>;
  /** Starts it again under the same address, with its data. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

let shared: Promise<PostgresServer> | undefined;

/** The server of this mocha process, which the first call starts. */
export function sharedPostgres(): Promise<PostgresServer> {
  shared ??= startPostgres();
  // Whoever needs it fails; that nobody needs it yet is no failure of the process.
  shared.catch(() => undefined);
  return shared;
}

/** A new empty database on the shared server. Gives the address. */
export async function createDatabase(name: string): Promise<string> {
  const server = await sharedPostgres();
  return server.createDatabase(name);
}

export async function stopSharedPostgres(): Promise<void> {
  const server = await shared?.catch(() => undefined);
  shared = undefined;
  await server?.stop();
}

/** A private PostgreSQL: empty, on a free port of this machine, without passwords, gone with this process. */
export async function startPostgres(): Promise<PostgresServer> {
  // Here and not above: setup.ts loads this file for every run, also for one without a database.
  const { default: pg } = await import('pg');
  // In a group of its own, so that an interrupt from the terminal or a killed group leaves it alive to clean up.
  const keeper = spawn(process.execPath, [KEEPER], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  keeper.stdin.on('error', () => undefined);
  const lines = createInterface(keeper.stdout);
  const address = `postgresql://postgres@127.0.0.1:${await portOf(keeper, lines)}`;
  const client = new pg.Client(`${address}/postgres`);
  client.on('error', () => undefined);
  const order = async (text: string): Promise<void> => {
    const obeyed = once(lines, 'line');
    keeper.stdin.write(`${text}\n`);
    await obeyed;
  };
  let databases = 0;

  /** Older ones than PostgreSQL 15 always copy files, which is half of the work of the other strategy. */
  async function copying(): Promise<string> {
    const { rows } = await client.query('show server_version_num');
    return Number(rows[0].server_version_num) >= 150_000 ? ' strategy file_copy' : '';
  }

  async function make(): Promise<string> {
    databases += 1;
    const database = `spare_${databases}`;
    await client.query(`create database "${database}" template template0${await copying()}`);
    return database;
  }

  async function rename(database: string, name: string): Promise<string> {
    const plain = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
    const renamed = database.replace('spare', plain.slice(0, 40));
    await client.query(`alter database "${database}" rename to "${renamed}"`);
    return renamed;
  }

  // To make one takes a tenth of a second; from the second on, they are made while specs run.
  let spare: Promise<string> | undefined;

  return {
    url: `${address}/postgres`,
    async createDatabase(name) {
      spare ??= client.connect().then(make);
      const given = spare.then((database) => rename(database, name));
      spare = given.then(make);
      spare.catch(() => undefined);
      return `${address}/${await given}`;
    },
    halt: (mode) => order(`halt ${mode}`),
    resume: () => order('resume'),
    async stop() {
      await client.end();
      const exited = once(keeper, 'exit');
      if (keeper.exitCode !== null || keeper.signalCode !== null) return;
      keeper.ref();
      keeper.stdin.end();
      await exited;
    },
  };
}

async function portOf(keeper: Keeper, lines: Interface): Promise<number> {
  const complaint = text(keeper.stderr);
  const first = await Promise.race([once(lines, 'line'), once(lines, 'close')]);
  const port = Number(first[0]);
  if (!Number.isInteger(port)) throw new Error(`The PostgreSQL of the specs did not start. ${await complaint}`);
  forget(keeper);
  return port;
}

/** What is left open here does not keep mocha from ending; the keeper sees its input end and cleans up. */
function forget(keeper: Keeper): void {
  keeper.unref();
  for (const stream of [keeper.stdin, keeper.stdout, keeper.stderr]) {
    if ('unref' in stream && typeof stream.unref === 'function') stream.unref();
  }
}
