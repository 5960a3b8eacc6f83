import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { print } from '../print.js';
import { readSettings, StartError } from '../settings.js';
import { Balancer } from './balancer.js';
import { startPrivateDatabase } from './private-database.js';

/**
 * `npm run example:cluster`: two processes of the chat on one database, a worker that only writes, and a balancer in front. On
 * request it replaces the processes of the chat one by one, and it restarts a process that has ended by itself.
 */

/** Milliseconds after which a process that does not stop is killed. It ends itself after 10 000. */
const TIME_TO_STOP = 15_000;
/** Milliseconds until a process that has ended by itself is started again. */
const TIME_TO_REVIVE = 1_000;
const APPS = ['app 1', 'app 2'];
const packageFolder = resolve(import.meta.dirname, '../../..');

const balancer = new Balancer((line) => print(`balancer | ${line}`));
const children = new Map<string, ChildProcess>();
const leaving = new WeakSet<ChildProcess>();
const stopping = new AbortController();

/** A process whose output lines begin with its name. It also stops when this one is killed: then their channel closes. */
function run(name: string, program: string, env: Readonly<Record<string, string>>): ChildProcess {
  const child = fork(resolve(import.meta.dirname, program), {
    cwd: packageFolder,
    env: { ...process.env, ...env },
    execArgv: ['--enable-source-maps'],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  for (const input of [child.stdout, child.stderr]) {
    if (!input) continue;
    createInterface({ input }).on('line', (line) => {
      child.emit('line', line);
      // The balancer has the address to open.
      print(`${name} | ${line.replace(/^(Listening)\. Open (\S+) .*/, '$1 on $2')}`);
    });
  }
  print(`supervisor | ${name} is process ${child.pid}`);
  children.set(name, child);
  return child;
}

function startAgain(name: string, child: ChildProcess, start: () => unknown): void {
  child.once('exit', (code, signal) => {
    if (stopping.signal.aborted || leaving.has(child)) return;
    print(`supervisor | ${name} has ended by itself (${signal ?? code}) and is started again`);
    setTimeout(() => stopping.signal.aborted || start(), TIME_TO_REVIVE);
  });
}

function startWorker(databaseUrl: string): void {
  const worker = run('worker', 'worker.js', { DATABASE_URL: databaseUrl });
  startAgain('worker', worker, () => startWorker(databaseUrl));
}

/** Resolves when the balancer gives it clients. */
async function startApp(name: string, databaseUrl: string): Promise<void> {
  const app = run(name, '../main.js', {
    DATABASE_URL: databaseUrl,
    HOST: '127.0.0.1',
    PORT: '0',
    TRUSTED_PROXIES: '127.0.0.1',
    // The balancer asks every 200 ms whether a process wants clients.
    DRAIN_DELAY: '1000',
  });
  const port = await portOf(app, name);
  startAgain(name, app, () => startApp(name, databaseUrl).catch(fail));
  await balancer.add(name, port);
}

function portOf(app: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    app.on('line', (line) => {
      const [, port] = /^Listening\. Open http:\/\/localhost:(\d+)/.exec(line) ?? [];
      if (port) resolve(Number(port));
    });
    app.once('exit', () => reject(new StartError(`${name} has ended before it served anybody.`)));
  });
}

let replacing: Promise<void> | undefined;

/** Replaces one after the other, so that one of them serves the clients at any time. */
function replaceApps(databaseUrl: string): void {
  if (replacing || stopping.signal.aborted) return;
  replacing = replaceEach(databaseUrl)
    .catch(fail)
    .finally(() => {
      replacing = undefined;
    });
}

async function replaceEach(databaseUrl: string): Promise<void> {
  for (const name of APPS) {
    const app = children.get(name);
    if (!isRunning(app)) continue;
    print(`supervisor | ${name} is replaced`);
    leaving.add(app);
    app.kill('SIGTERM');
    await once(app, 'exit');
    if (stopping.signal.aborted) return;
    await startApp(name, databaseUrl);
  }
  print('supervisor | All are replaced');
}

function isRunning(child: ChildProcess | undefined): child is ChildProcess {
  return child?.exitCode === null && child.signalCode === null;
}

/** Disconnects instead of sending a signal: Ctrl+C has sent one to it too, and a second one ends it without a clean stop. */
async function stop(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  if (child.connected) child.disconnect();
  const timer = setTimeout(() => child.kill('SIGKILL'), TIME_TO_STOP);
  await once(child, 'exit');
  clearTimeout(timer);
}

function fail(error: unknown): void {
  if (stopping.signal.aborted) return;
  const text = error instanceof StartError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
  stopping.abort();
}

async function superviseCluster(): Promise<void> {
  const settings = readSettings(process.env);
  const port = await balancer.listen(settings);
  const database = settings.databaseUrl ? undefined : await startPrivateDatabase();
  const databaseUrl = settings.databaseUrl ?? database?.url ?? '';
  try {
    void database?.ended.then(() => fail(new StartError('The database has ended.')));
    await Promise.race([Promise.all(APPS.map((name) => startApp(name, databaseUrl))), stopped()]);
    stopping.signal.throwIfAborted();
    startWorker(databaseUrl);
    createInterface({ input: process.stdin }).on('line', () => replaceApps(databaseUrl));
    process.on('SIGUSR2', () => replaceApps(databaseUrl));
    print(`
Open http://localhost:${port} in two browsers, or in one and in a private window of it.
  Talk in one room: each socket goes to the next process, as the balancer says.
  Go into the room "Station clock": the worker writes there, which has no sockets.
  Press Enter, or kill -USR2 ${process.pid}: both processes are replaced, one by one, and the chat goes on.
  kill -9 ${children.get('app 1')?.pid}: app 1 has an accident, and its clients come back elsewhere.
Stop with Ctrl+C.
`);
    await stopped();
  } catch (error) {
    fail(error);
  } finally {
    stopping.abort();
    await Promise.all([...children.values()].map(stop));
    balancer.close();
    await database?.stop();
  }
}

function stopped(): Promise<void> {
  return new Promise((resolve) => {
    if (stopping.signal.aborted) resolve();
    stopping.signal.addEventListener('abort', () => resolve());
  });
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stopping.abort());
await superviseCluster().catch(fail);
process.exit();
