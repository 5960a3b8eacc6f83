import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { print } from './print.js';

/**
 * Builds and starts the app, and does so again after every save. It polls the times of the files: on Linux `fs.watch` with
 * `recursive` loses a file that was replaced by rename, and it is unreliable in folders that virtual machines and containers
 * share. One poll of 350 files takes about 3 ms.
 */

/** Milliseconds between two polls. */
const INTERVAL = 300;
/** Milliseconds after which an app that does not stop is killed. It ends itself after 10 000. */
const TIME_TO_STOP = 15_000;

const packageFolder = resolve(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
const pages = join(packageFolder, 'page');
const folders = [join(packageFolder, 'src'), pages, ...frameworkSources()];

/** The source files by their path. */
type Sources = ReadonlyMap<string, Stats>;

/** The sources of a framework that is beside the app; an installed one has none to build. */
function frameworkSources(): string[] {
  const folder = dirname(realpathSync(require.resolve('signalbox/package.json')));
  return folder.includes('node_modules') ? [] : [join(folder, 'src')];
}

function readSources(): Sources {
  const sources = new Map<string, Stats>();
  for (const folder of folders) {
    for (const { parentPath, name } of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      // Files that begin with a dot are locks and swap files of editors.
      if (!/^[^.].*\.(ts|html|css)$/.test(name)) continue;
      const stats = statSync(join(parentPath, name), { throwIfNoEntry: false });
      if (stats) sources.set(join(parentPath, name), stats);
    }
  }
  return sources;
}

/** The files that were written, replaced, made or removed. Unlike mtime, ctime is never set back. */
function changedFiles(before: Sources, after: Sources): string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths].filter((path) => before.get(path)?.ctimeMs !== after.get(path)?.ctimeMs);
}

/** Resolves with the sources once they differ from the known ones and have not changed for one interval. */
async function nextSources(known: Sources, signal: AbortSignal): Promise<Sources> {
  for (let last = known; ; ) {
    await pause(INTERVAL, undefined, { signal });
    try {
      const sources = readSources();
      if (changedFiles(known, sources).length > 0 && changedFiles(last, sources).length === 0) return sources;
      last = sources;
    } catch (error) {
      // A folder was removed while it was read.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

async function succeeds(command: readonly string[], signal: AbortSignal): Promise<boolean> {
  const child = spawn(process.execPath, command, { cwd: packageFolder, stdio: 'inherit', signal });
  const [code] = await once(child, 'exit');
  return code === 0;
}

function isRunning(app: ChildProcess | undefined): app is ChildProcess {
  return app?.exitCode === null && app.signalCode === null;
}

function sayThatItEnded(): void {
  print('The app has ended. It starts again when a file is saved.');
}

/** Disconnects instead of sending a signal: Ctrl+C has sent one to the app too, and a second one ends it without a clean stop. */
async function stop(app: ChildProcess | undefined): Promise<void> {
  if (!isRunning(app)) return;
  app.off('exit', sayThatItEnded);
  if (app.connected) app.disconnect();
  const timer = setTimeout(() => app.kill('SIGKILL'), TIME_TO_STOP);
  await once(app, 'exit');
  clearTimeout(timer);
}

async function develop(signal: AbortSignal): Promise<void> {
  let app: ChildProcess | undefined;
  let sourcesOfApp: Sources = new Map();
  let lastSources: Sources = new Map();
  let lastBuild = 0;
  try {
    for (let sources = readSources(); ; sources = await nextSources(sources, signal)) {
      print('Building');
      // `tsc -b` overlooks a changed file whose mtime is before its last build: a backup that was moved back, or a save that
      // came while it was building.
      const isOverlooked = (path: string) => (sources.get(path)?.mtimeMs ?? lastBuild) < lastBuild;
      const force = changedFiles(lastSources, sources).some(isOverlooked) ? ['--force'] : [];
      const isBuilt =
        (await succeeds([tsc, '-b', ...force], signal)) &&
        (await succeeds(['--enable-source-maps', join(import.meta.dirname, 'build.js')], signal));
      lastSources = sources;
      lastBuild = Date.now();
      // The last good app keeps running until everything compiles again.
      if (!isBuilt) continue;
      const needsRestart = changedFiles(sourcesOfApp, sources).some((path) => !path.startsWith(pages + sep));
      if (isRunning(app) && !needsRestart) {
        app.send('pages');
        print('Built. Open tabs reload.');
        continue;
      }
      await stop(app);
      signal.throwIfAborted();
      app = fork(join(import.meta.dirname, 'main.js'), { cwd: packageFolder, execArgv: ['--enable-source-maps'] });
      app.once('exit', sayThatItEnded);
      sourcesOfApp = sources;
    }
  } finally {
    await stop(app);
  }
}

// For the build and for the app: see src/http/live-pages.ts.
process.env.LIVE_PAGES = '1';
const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => stopping.abort());
await develop(stopping.signal).catch((error) => {
  if (!stopping.signal.aborted) throw error;
});
