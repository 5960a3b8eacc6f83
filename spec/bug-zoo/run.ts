import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Bug, bugs } from './bugs.js';
import { plant } from './plant.js';

/** As much of mocha's JSON as is read here. */
interface Report {
  readonly stats: { readonly passes: number };
  readonly failures: readonly { readonly fullTitle: string }[];
}

const root = new URL('../../../', import.meta.url);
/** A copy of what is compiled: `signalbox` and `#signalbox/*` mean the `dist/` beside the nearest package.json. */
const copy = new URL('build/bug-zoo/', root);
const longestRun = 180_000;

const run = promisify(execFile);

async function makeCopy(): Promise<void> {
  await rm(copy, { recursive: true, force: true });
  await mkdir(new URL('build/', copy), { recursive: true });
  await cp(new URL('package.json', root), new URL('package.json', copy));
  await cp(new URL('dist/', root), new URL('dist/', copy), { recursive: true });
  await cp(new URL('build/spec/', root), new URL('build/spec/', copy), { recursive: true });
  await symlink(new URL('node_modules', root), new URL('node_modules', copy));
}

/** @throws Error where the specs did not even load, or never ended: then they have noticed nothing */
async function report(specs: readonly string[], options: readonly string[] = []): Promise<Report> {
  const mocha = fileURLToPath(new URL('node_modules/mocha/bin/mocha.js', root));
  const output = new URL('report.json', copy);
  const files = specs.map((spec) => `build/spec/${spec}.spec.js`);
  const setting = ['--no-config', '--require', 'build/spec/support/setup.js', '--timeout', '10000', '--exit'];
  const reporting = ['--reporter', 'json', '--reporter-option', `output=${fileURLToPath(output)}`];
  await rm(output, { force: true });
  const ran = run(process.execPath, [mocha, ...setting, ...reporting, ...options, ...files], {
    cwd: fileURLToPath(copy),
    timeout: longestRun,
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  const complaint = await ran.then(
    () => '',
    (failure: { stderr: string }) => failure.stderr,
  );
  const text = await readFile(output, 'utf8').catch(() => undefined);
  if (text === undefined) throw new Error(`${specs.join(', ')} did not run to their end. ${complaint}`);
  return JSON.parse(text) as Report;
}

/** What is red without any bug would catch all of them. */
async function checkHealth(chosen: readonly Bug[]): Promise<void> {
  const specs = [...new Set(chosen.flatMap((bug) => bug.specs))];
  const { failures } = await report(specs);
  if (failures.length > 0) throw new Error(`Red without any bug: ${failures.map(titleOf).join('; ')}`);
}

/** @returns the fact that failed, if one did */
async function catchBug(bug: Bug): Promise<string | undefined> {
  const file = new URL(`dist/${bug.file}`, copy);
  const sound = await readFile(file, 'utf8');
  await writeFile(file, plant(bug, sound));
  try {
    const [failure] = (await report(bug.specs, ['--bail'])).failures;
    return failure && titleOf(failure);
  } finally {
    await writeFile(file, sound);
  }
}

function titleOf({ fullTitle }: Report['failures'][number]): string {
  return fullTitle.replaceAll(/\s+/g, ' ');
}

const wanted = process.argv.slice(2);
const chosen = bugs.filter(({ name }) => wanted.length === 0 || wanted.some((words) => name.includes(words)));
await makeCopy();
await checkHealth(chosen);
let caught = 0;
process.stdout.write('| bug | caught by |\n| --- | --- |\n');
for (const bug of chosen) {
  const by = await catchBug(bug);
  if (by) caught += 1;
  process.stdout.write(`| ${bug.name} | ${by ?? '**NOBODY**'} |\n`);
}
process.stdout.write(`\n${caught} of ${chosen.length} bugs were caught\n`);
process.exitCode = caught === chosen.length && caught > 0 ? 0 : 1;
