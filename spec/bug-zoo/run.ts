import { execFile } from 'node:child_process';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bugs } from './bugs.js';
import type { Bug } from './plant.js';

/** As much of mocha's JSON as is read here. */
interface Report {
  readonly failures: readonly { readonly fullTitle: string }[];
}

const root = new URL('../../../', import.meta.url);
const reports = new URL('build/bug-zoo/', root);
const longestRun = 300_000;

const planted = ['--import', new URL('planted.js', import.meta.url).href];
const run = promisify(execFile);
let runs = 0;
let caught = 0;

/**
 * @param bug planted for this run; without one, all symbols are replaced by themselves
 * @throws Error where the specs did not even load, or never ended: then they have noticed nothing
 */
async function report(specs: readonly string[], bug?: Bug): Promise<Report> {
  const mocha = fileURLToPath(new URL('node_modules/mocha/bin/mocha.js', root));
  const output = fileURLToPath(new URL(`${++runs}.json`, reports));
  const files = specs.map((spec) => `build/spec/${spec}.spec.js`);
  const setting = ['--no-config', '--require', 'build/spec/support/setup.js', '--timeout', '30000', '--exit'];
  const reporting = ['--reporter', 'json', '--reporter-option', `output=${output}`, ...(bug ? ['--bail'] : [])];
  const ran = run(process.execPath, [...planted, mocha, ...setting, ...reporting, ...files], {
    cwd: fileURLToPath(root),
    env: { ...process.env, SIGNALBOX_SPECS: 'all', ...(bug && { SIGNALBOX_BUG: bug.name }) },
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
  const specs = [...new Set(chosen.flatMap((bug) => bug.caughtBy))];
  const { failures } = await report(specs);
  if (failures.length > 0) throw new Error(`Red without any bug: ${failures.map(titleOf).join('; ')}`);
}

async function catchBug(bug: Bug): Promise<void> {
  const [failure] = (await report(bug.caughtBy, bug)).failures;
  if (failure) caught += 1;
  process.stdout.write(`| ${bug.name} | ${failure ? titleOf(failure) : '**NOTHING**'} |\n`);
}

function titleOf({ fullTitle }: Report['failures'][number]): string {
  return fullTitle.replaceAll(/\s+/g, ' ');
}

async function workOff(work: (() => Promise<void>)[]): Promise<void> {
  for (let next = work.shift(); next; next = work.shift()) await next();
}

const wanted = process.argv.slice(2);
const chosen = bugs.filter(({ name }) => wanted.length === 0 || wanted.some((words) => name.includes(words)));
if (chosen.length === 0) throw new Error(`No bug has one of these in its name: ${wanted.join(', ')}.`);
await run(process.execPath, [...planted, '--eval', '']).catch(({ stderr }: { stderr: string }) => {
  process.stderr.write(stderr);
  process.exit(1);
});
await rm(reports, { recursive: true, force: true });
await mkdir(reports, { recursive: true });
process.stdout.write('| bug | caught by |\n| --- | --- |\n');
const work = [() => checkHealth(chosen), ...chosen.map((bug) => () => catchBug(bug))];
await Promise.all(Array.from({ length: availableParallelism() }, () => workOff(work)));
process.stdout.write(`\n${caught} of ${chosen.length} bugs were caught\n`);
process.exitCode = caught === chosen.length && caught > 0 ? 0 : 1;
