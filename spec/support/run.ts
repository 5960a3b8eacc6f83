import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

// What `npm test` is: mocha over the specs of the sample app, which take the longest, and over the others. The specs of `slow` run
// in CI and with `npm test -- --all`; so do all rounds of what is repeated (population.ts). Other arguments go to mocha.

const all = ['sample-app/dist/spec/**/*.spec.js', 'build/spec/**/*.spec.js'];

/** Browsers, several processes of an application, compilers and packed projects, and heaps that are weighed: half of the time of all specs. */
export const slow = [
  'sample-app/dist/spec/{cluster,dev,main,pages,silent-sockets}.spec.js',
  'sample-app/dist/spec/pages/**',
  'build/spec/{copies,quick-start,tutorial}.spec.js',
  'build/spec/{client/browser,explorer/page}.spec.js',
  'build/spec/cli/{api-types,make,new}/**',
  'build/spec/processes/**',
  'build/spec/walks/{connection-memory,leaks}.spec.js',
];

/** The arguments of mocha, and whether every spec runs. */
export function commandOf(given: readonly string[], isCi: boolean): { isWhole: boolean; mocha: readonly string[] } {
  const isWhole = isCi || given.includes('--all');
  const left = isWhole ? [] : slow.flatMap((pattern) => ['--ignore', pattern]);
  return { isWhole, mocha: [...left, ...given.filter((word) => word !== '--all'), ...all] };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { isWhole, mocha } = commandOf(process.argv.slice(2), process.env['CI'] === 'true');
  const program = createRequire(import.meta.url).resolve('mocha/bin/mocha.js');
  const env = { ...process.env, ...(isWhole && { SIGNALBOX_SPECS: 'all' }) };
  const run = spawn(process.execPath, [program, ...mocha], { stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => run.kill(signal));
  run.on('exit', (code) => {
    process.exitCode = code ?? 1;
  });
}
