import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// What `npm test` is: mocha over the specs of the sample app and of the framework. The specs of `slow` run in CI and with
// `npm test -- --all`; so do all rounds of what is repeated (population.ts). Other arguments go to mocha.

const root = fileURLToPath(new URL('../../../', import.meta.url));
const all = ['sample-app/dist/spec/**/*.spec.js', 'build/spec/**/*.spec.js'];

/** Browsers, several processes of an application, compilers and packed projects, and heaps that are weighed: half of the time of all specs. */
export const slow = [
  'sample-app/dist/spec/{cluster,dev,main,pages,silent-sockets}.spec.js',
  'sample-app/dist/spec/pages/**',
  'build/spec/{copies,quick-info,quick-start,tutorial}.spec.js',
  'build/spec/{client/browser,explorer/page}.spec.js',
  'build/spec/cli/{api-types,make,new}/**',
  'build/spec/cli/unbuilt-clone.spec.js',
  'build/spec/dcrf/another-process.spec.js',
  'build/spec/processes/**',
  'build/spec/walks/{connection-memory,leaks}.spec.js',
  'build/spec/wire/heap-bytes.spec.js',
];

/** Of the others, those that take several seconds. They begin first, or one process would end with them while the other has no work. */
export const long = [
  'sample-app/dist/spec/chat/*.spec.js',
  'build/spec/log/{change-log,log-crash,notify-channel-layer,notifications,true-images}.spec.js',
  'build/spec/walks/{any-json,columns-and-json,page-of-rows,shared-events,slow-readers}.spec.js',
  'build/spec/{filters/operators,fuzz/fuzz,orm/connection-pool,server/process-signals}.spec.js',
  'build/spec/serializers/{column-kinds,rows-without-entities}.spec.js',
  'build/spec/channel-layer/redis-channel-layer.spec.js',
];

/** The files of specs, in the order in which they begin. */
export function filesOf(patterns: readonly string[]): readonly string[] {
  const found = patterns.flatMap((pattern) => globSync(pattern, { cwd: root }).sort());
  return found.filter((path) => path.endsWith('.spec.js')).map((path) => path.replaceAll('\\', '/'));
}

/** The arguments of mocha, whether every spec runs, and how many files do not. */
export function commandOf(
  given: readonly string[],
  isCi: boolean,
): { readonly isWhole: boolean; readonly leftOut: number; readonly mocha: readonly string[] } {
  const isWhole = isCi || given.includes('--all');
  const left = new Set(isWhole ? [] : filesOf(slow));
  const files = new Set(filesOf([...slow, ...long, ...all]));
  return {
    isWhole,
    leftOut: left.size,
    mocha: [...given.filter((word) => word !== '--all'), ...files.difference(left)],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { isWhole, leftOut, mocha } = commandOf(process.argv.slice(2), process.env['CI'] === 'true');
  const program = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');
  const env = { ...process.env, SIGNALBOX_LEFT_OUT: `${leftOut}`, ...(isWhole && { SIGNALBOX_SPECS: 'all' }) };
  const run = spawn(process.execPath, [program, ...mocha], { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.kill(signal));
  run.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
