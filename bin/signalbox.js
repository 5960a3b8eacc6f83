#!/usr/bin/env node
// Not compiled: npm links a command only if its file is there at install time, and a fresh clone has no dist/ yet.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const main = join(root, 'dist/cli/main.js');

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

/** Only a clone has the project of the compiler; the published package comes built. */
function build() {
  if (!existsSync(join(root, 'src/tsconfig.json'))) fail(`${main} is missing. Install signalbox again.`);
  process.stderr.write('Building Signalbox, once: this takes some seconds.\n');
  const require = createRequire(import.meta.url);
  const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-b', 'src'], { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) fail('Signalbox does not compile, so its command cannot run. Mend what is shown above.');
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 17)) {
  fail(`Signalbox needs Node.js 22.17 or newer, and this is ${process.versions.node}.`);
}
if (!existsSync(main)) build();
await import('../dist/cli/main.js');
