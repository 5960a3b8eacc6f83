import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { print } from './print.js';

const TIME_TO_SAVE_ALL = 150;

const packageFolder = resolve(import.meta.dirname, '../..');
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin/tsc');
const main = join(import.meta.dirname, 'main.js');

/** Changed since the last build; a page needs a build, and the app no restart for it. */
const changed = new Set<'src' | 'page'>();
let app = run(main);
let work = Promise.resolve();
let timer: NodeJS.Timeout | undefined;

function run(...command: string[]): ChildProcess {
  return spawn(process.execPath, ['--enable-source-maps', ...command], { cwd: packageFolder, stdio: 'inherit' });
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

async function rebuild(): Promise<void> {
  const needsRestart = changed.has('src');
  changed.clear();
  print('Building');
  // Until everything compiles again the last good app goes on.
  if ((await ended(run(tsc, '-b'))) !== 0) return;
  if (!needsRestart) return print('Built. Reload the page.');
  app.kill('SIGTERM');
  await ended(app);
  app = run(main);
}

for (const folder of ['src', 'page'] as const) {
  watch(join(packageFolder, folder), { recursive: true }, (_event, file) => {
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
    void ended(app).then(() => process.exit(0));
  });
}
