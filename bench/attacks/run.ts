import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { attacks } from './attacks.js';

interface Latencies {
  readonly count: number;
  readonly isLost: boolean;
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
}

interface Load {
  readonly milliseconds: number;
  readonly megabytes: number;
  readonly counted: object;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '50' },
    settings: { type: 'string', default: '{}' },
    details: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const names = positionals.length > 0 ? positionals : Object.keys(attacks);

async function start(program: string, ...parameters: string[]): Promise<readonly [ChildProcess, unknown]> {
  const child = fork(fileURLToPath(new URL(`${program}.js`, import.meta.url)), parameters);
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${program} did not start.`);
  });
  const [first] = (await Promise.race([once(child, 'message'), failed])) as unknown[];
  failed.catch(() => {});
  return [child, first];
}

async function ask<Answer>(child: ChildProcess): Promise<Answer> {
  const answer = once(child, 'message');
  child.send({});
  const [value] = (await answer) as [Answer];
  return value;
}

/** What healthy clients wait, and the share of one core that the server takes. */
async function measure(server: ChildProcess, healthy: ChildProcess): Promise<Latencies & { readonly core: number }> {
  await ask<Latencies>(healthy);
  const before = await ask<Load>(server);
  await pause(seconds * 1_000);
  const latencies = await ask<Latencies>(healthy);
  const after = await ask<Load>(server);
  if (values.details) process.stdout.write(`${JSON.stringify(after)}\n`);
  return { ...latencies, core: (after.milliseconds - before.milliseconds) / (seconds * 10) };
}

interface Round {
  readonly without: Latencies & { readonly core: number };
  readonly during: Latencies & { readonly core: number };
}

async function measureRound(name: string): Promise<Round> {
  const [server, port] = await start('server', values.settings);
  const [healthy] = await start('healthy', String(port));
  await pause(2_000);
  const without = await measure(server, healthy);
  const [attacker] = await start('attacker', String(port), name, values.connections);
  await pause(1_000);
  const during = await measure(server, healthy);
  if (values.details) process.stdout.write(`${JSON.stringify(await ask(attacker))}\n`);
  for (const child of [attacker, healthy, server]) child.kill('SIGKILL');
  return { without, during };
}

function quietest<Measured extends Latencies>(all: readonly Measured[]): Measured {
  return all.reduce((best, each) => (each.p99 < best.p99 ? each : best));
}

async function row(name: string): Promise<string> {
  const rounds: Round[] = [];
  for (let each = 0; each < Number(values.rounds); each += 1) rounds.push(await measureRound(name));
  // What else runs on the machine only adds, so the quietest round counts.
  const without = quietest(rounds.map((each) => each.without));
  const during = quietest(rounds.map((each) => each.during));
  const cells = [
    ...[without.p50, during.p50, without.p99, during.p99, during.p99 / without.p99].map((each) => each.toFixed(1)),
    ...[without.core, during.core].map((each) => `${each.toFixed(1)} %`),
    rounds.some((each) => each.during.isLost) ? 'lost' : 'all served',
  ];
  return `| ${[name, ...cells].join(' | ')} |`;
}

const head = [
  'attack',
  'p50 without',
  'with',
  'p99 without',
  'with',
  'ratio',

  'core without',
  'with',
  '',
];
process.stdout.write(`| ${head.join(' | ')} |\n|${head.map(() => ' --- |').join('')}\n`);
for (const name of names) process.stdout.write(`${await row(name)}\n`);
