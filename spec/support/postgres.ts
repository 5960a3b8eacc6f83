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
  /** Ends the server and all its sessions, for now: `fast` with a word to each of them, `immediate` like a crash. */
  halt(mode: 'fast' | 'immediate'): Promise<void>;
  /** Starts it again under the same address, with its data. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

let shared: Promise<PostgresServer> | undefined;

/** A new empty database on the server of this mocha process, which the first call starts. Gives the address. */
export async function createDatabase(name: string): Promise<string> {
  shared ??= startPostgres();
  const server = await shared;
  return server.createDatabase(name);
}

export async function stopSharedPostgres(): Promise<void> {
  const server = await shared?.catch(() => undefined);
  shared = undefined;
  await server?.stop();
}

/** A private PostgreSQL: empty, on a free port of this machine, without passwords, gone with this process. */
export async function startPostgres(): Promise<PostgresServer> {
  // In a group of its own, so that an interrupt from the terminal or a killed group leaves it alive to clean up.
  const keeper = spawn(process.execPath, [KEEPER], { detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
  keeper.stdin.on('error', () => undefined);
  const lines = createInterface(keeper.stdout);
  const address = `postgresql://postgres@127.0.0.1:${await portOf(keeper, lines)}`;
  const order = async (text: string): Promise<void> => {
    const obeyed = once(lines, 'line');
    keeper.stdin.write(`${text}\n`);
    await obeyed;
  };
  let databases = 0;
  return {
    url: `${address}/postgres`,
    async createDatabase(name) {
      databases += 1;
      const database = `${name
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, '_')
        .slice(0, 40)}_${databases}`;
      await execute(`${address}/postgres`, `create database "${database}" template template0`);
      return `${address}/${database}`;
    },
    halt: (mode) => order(`halt ${mode}`),
    resume: () => order('resume'),
    async stop() {
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

async function execute(clientUrl: string, sql: string): Promise<void> {
  // Here and not above: setup.ts loads this file for every run, also for one without a database.
  const { MikroORM } = await import('@mikro-orm/postgresql');
  const orm = await MikroORM.init({ clientUrl, entities: [], discovery: { warnWhenNoEntities: false } });
  try {
    await orm.em.getConnection().execute(sql);
  } finally {
    await orm.close(true);
  }
}
