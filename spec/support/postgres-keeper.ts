/**
 * A process of its own between the specs and their PostgreSQL: it starts the server, prints its port, and when its
 * standard input ends, as it does however the specs die, stops the server and removes its folder. On the way it takes orders, one a
 * line, and prints each when it is done: `halt fast` and `halt immediate` stop the server, `halt kill` kills all of its processes, `resume`
 * starts it again on its port.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdtemp, open, readFile, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { lastingPort } from './ports.js';
import { type Account, runnableBinaries, unprivilegedAccount } from './postgres-binaries.js';

const ATTEMPTS = 3;
const START_LIMIT = 60_000;
const STOP_LIMIT = 5_000;
/** Bytes that have to be free for the data to be kept in memory: those of all servers and processes of a run take 4 GiB. */
const ROOM_IN_MEMORY = 6 * 2 ** 30;
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  shared_buffers: '32MB',
  max_connections: '200',
  max_prepared_transactions: '20',
  timezone: 'UTC',
  log_timezone: 'UTC',
};

interface Site {
  readonly folder: string;
  readonly data: string;
  readonly log: string;
  readonly bin: string;
  readonly account: Account | undefined;
}

interface Server {
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
  readonly port: number;
}

async function keep(): Promise<void> {
  const released = specsAreGone();
  const folder = await mkdtemp(join(tmpdir(), 'signalbox-postgres-'));
  const data = await mkdtemp(join(await folderOfData(), 'signalbox-postgres-'));
  try {
    const site = await prepare(folder, data);
    const { promise: died, resolve: die } = Promise.withResolvers<void>();
    let server = await start(site);
    let isWanted = true;
    const watch = (): unknown => server.exited.then(() => isWanted && die());
    const obey = async (order: string): Promise<void> => {
      isWanted = order === 'resume';
      if (isWanted) server = await start(site, server.port);
      else if (order === 'halt kill') await kill(server);
      else await stop(server, order === 'halt fast' ? 'SIGINT' : 'SIGQUIT');
      if (isWanted) watch();
      process.stdout.write(`${order}\n`);
    };
    watch();
    createInterface(process.stdin).on('line', (order) => obey(order).catch(die));
    process.stdout.write(`${server.port}\n`);
    await Promise.race([released, died]);
    await stop(server);
  } finally {
    for (const path of [data, folder]) await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}

/** No spec needs its data after a crash of the machine; where files are in memory, to make a database takes a tenth of the time. */
async function folderOfData(): Promise<string> {
  const memory = '/dev/shm';
  const free = await statfs(memory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  // The folder may be larger than what a container may use.
  return Math.min(free, process.availableMemory()) >= ROOM_IN_MEMORY ? memory : tmpdir();
}

function specsAreGone(): Promise<void> {
  process.stdout.on('error', () => undefined);
  return new Promise((resolve) => {
    process.stdin.on('end', resolve).on('error', resolve).on('close', resolve).resume();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, resolve);
  });
}

async function prepare(folder: string, data: string): Promise<Site> {
  const account = unprivilegedAccount();
  if (account !== undefined) await Promise.all([folder, data].map((path) => chown(path, account.uid, account.gid)));
  const bin = await runnableBinaries(folder, account);
  const site = { folder, data, log: join(folder, 'log'), bin, account };
  initialize(site);
  return site;
}

function initialize({ folder, data, bin, account }: Site): void {
  const options = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync'];
  const { status, stderr, error } = spawnSync(join(bin, 'initdb'), [`--pgdata=${data}`, ...options], {
    cwd: folder,
    env: environment(),
    encoding: 'utf8',
    ...account,
  });
  if (status !== 0) throw new Error(`initdb failed: ${error?.message ?? stderr}`);
}

async function start(site: Site, port?: number): Promise<Server> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const server = await launch(site, port ?? (await lastingPort()));
    if (await becomesReady(site, server)) return server;
    await stop(server);
  }
  throw new Error(`PostgreSQL does not start:\n${await readFile(site.log, 'utf8')}`);
}

async function launch({ folder, data, log, bin, account }: Site, port: number): Promise<Server> {
  const settings = Object.entries({ ...SETTINGS, port }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const file = await open(log, 'a');
  const child = spawn(join(bin, 'postgres'), ['-D', data, ...settings], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', file.fd, file.fd],
    ...account,
  });
  const exited = once(child, 'exit').catch(() => undefined);
  await file.close();
  return { process: child, exited, port };
}

/** The eighth line of `postmaster.pid` is what `pg_ctl --wait` looks at too. */
async function becomesReady({ data }: Site, { process: child }: Server): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT;
  while (Date.now() < deadline && child.pid !== undefined && !hasEnded(child)) {
    const lines = await readFile(join(data, 'postmaster.pid'), 'utf8').then(
      (text) => text.split('\n'),
      () => [],
    );
    if (lines[0] === String(child.pid) && lines[7]?.startsWith('ready')) return true;
    await pause(10);
  }
  return false;
}

/** At once, as no spec needs the data again, or first without the open sessions; then by force. */
async function stop({ process: child, exited }: Server, first: 'SIGINT' | 'SIGQUIT' = 'SIGQUIT'): Promise<void> {
  for (const signal of [first, 'SIGQUIT', 'SIGKILL'] as const) {
    if (child.pid === undefined || hasEnded(child)) return;
    child.kill(signal);
    await Promise.race([exited, pause(STOP_LIMIT, undefined, { ref: false })]);
  }
}

/** All of its processes, without a word to any of them. */
async function kill({ process: child, exited }: Server): Promise<void> {
  // So that it begins no other one meanwhile.
  child.kill('SIGSTOP');
  const own = livingProcesses().flatMap(({ pid, parent }) => (parent === child.pid ? pid : []));
  for (const pid of own) killIfThere(pid);
  child.kill('SIGKILL');
  await exited;
  // The next server does not start while one of them still has the shared memory.
  while (livingProcesses().some(({ pid }) => own.includes(pid))) await pause(10);
}

function livingProcesses(): readonly { readonly pid: number; readonly parent: number }[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,stat='], { encoding: 'utf8' });
  return stdout.split('\n').flatMap((line) => {
    const [pid, parent, state = 'Z'] = line.trim().split(/\s+/);
    return state.startsWith('Z') ? [] : { pid: Number(pid), parent: Number(parent) };
  });
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** PGDATA, PGPORT and their like would speak to another server. */
function environment(): NodeJS.ProcessEnv {
  const ours = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(ours), LC_ALL: 'C' };
}

keep().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  },
);
