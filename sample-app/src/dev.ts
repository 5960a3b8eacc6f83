import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { realpathSync, watch } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { print } from './print.js';

const TIME_TO_SAVE_ALL = 150;

const packageFolder = resolve(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
const main = join(import.meta.dirname, 'main.js');
const build = join(import.meta.dirname, 'build.js');

/** A page needs a build, and the app no restart for it. */
const pages = join(packageFolder, 'page');
const sources = [join(packageFolder, 'src'), pages, ...frameworkSources()];

const changed = new Set<string>();
let app = run(main);
let work = Promise.resolve();
let timer: NodeJS.Timeout | undefined;

/** Those of a framework that lies beside the app, not of one that is installed. */
function frameworkSources(): string[] {
  const folder = dirname(realpathSync(require.resolve('signalbox/package.json')));
  return folder.includes('node_modules') ? [] : [join(folder, 'src')];
}

function run(...command: string[]): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', ...command], { cwd: packageFolder, stdio: 'inherit' });
}

async function succeeds(child: ChildProcess): Promise<boolean> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode === 0;
}

async function rebuild(): Promise<void> {
  const needsRestart = [...changed].some((folder) => folder !== pages);
  changed.clear();
  print('Building');
  // Until everything compiles again the last good app goes on.
  if (!(await succeeds(run(tsc, '-b')))) return;
  if (!(await succeeds(run(build)))) return;
  if (!needsRestart) return print('Built. Reload the page.');
  app.kill('SIGTERM');
  await succeeds(app);
  app = run(main);
}

for (const folder of sources) {
  watch(folder, { recursive: true }, (_event, file) => {
    if (!file?.endsWith('.ts')) return;
    changed.add(folder);
    clearTimeout(timer);
    timer = setTimeout(() => {
      work = work.then(rebuild);
    }, TIME_TO_SAVE_ALL);
  });
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    app.kill('SIGTERM');
    void succeeds(app).then(() => process.exit(0));
  });
}
