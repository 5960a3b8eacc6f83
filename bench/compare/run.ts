import { fork } from 'node:child_process';
import { once } from 'node:events';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { inspect, parseArgs } from 'node:util';
import { type PostgresServer, startPostgres } from '../../spec/support/postgres.js';
import type { Figures, Job } from './generator.js';
import { installPeers } from './install-peers.js';
import { peers, type Server, type Subject, signalbox, start, stop } from './server.js';
import { type Row, table } from './table.js';
import { type Load, type Memory, type Work, works } from './works.js';

const usage = `npm run bench:peers -- [work …] [--servers nest,feathers] [--rounds 5] [--seconds 1]

A work is meant by how its name begins; without one, all are measured:
${Object.keys(works)
  .map((name) => `  ${name}\n`)
  .join('')}`;

/** Longest time that one measurement may take, in milliseconds. */
const measurementLimit = 120_000;

/** Each takes a minute or two. */
const memoryRounds = 2;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    servers: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const chosen = Object.entries(works).filter(
  ([name]) => positionals.length === 0 || positionals.some((begin) => name.startsWith(begin)),
);
const others = peers.filter(({ name }) => isNamed(name));
const peerNames = others.map(({ name }) => name);
if (values.help || chosen.length === 0 || !(rounds >= 1) || !(seconds > 0)) {
  process.stdout.write(usage);
  process.exit(values.help ? 0 : 1);
}

installPeers();
const postgres = await startPostgres();
const servers = await startAll(postgres);
const rows: Row[] = [];
for (const [name, work] of chosen) await measureRows(name, work);
for (const server of servers) await stop(server);
await postgres.stop();
process.stdout.write(`${method()}\n${table(rows, signalbox.name, peerNames)}`);
process.exit();

function isNamed(name: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z]/g, '');
  return values.servers === undefined || values.servers.split(',').some((each) => plain(name).startsWith(plain(each)));
}

/** Every server but those that are started for one measurement, each after its replies were found right. */
async function startAll(postgres: PostgresServer): Promise<readonly Server[]> {
  const started: Server[] = [];
  for (const subject of [signalbox, ...others]) {
    const server = await start(postgres, subject);
    await measure(server, { kind: 'verification' });
    started.push(server);
  }
  return started;
}

/** A work that fails costs no figures of the others. */
async function measureRows(name: string, work: Work): Promise<void> {
  tell(name);
  try {
    const measured = await rowsOf(name, work);
    rows.push(...measured);
    tell(table(measured, signalbox.name, peerNames));
  } catch (error) {
    tell(inspect(error));
    process.exitCode = 1;
  }
}

async function rowsOf(name: string, work: Work): Promise<readonly Row[]> {
  switch (work.kind) {
    case 'load':
      return [{ name, unit: 'us', rounds: work.further ? await further(work) : await interleaved(work) }];
    case 'start-up':
      return [{ name: 'start-up, processor time', unit: 'ms', rounds: await startUps() }];
    case 'memory':
      return memoryRows(work);
    default:
      return [{ name, unit: 'us', rounds: await interleaved(work) }];
  }
}

/** The first round warms the servers up, and does not count. */
async function interleaved(work: Exclude<Job['work'], Memory>): Promise<Map<string, number>[]> {
  const measured: Map<string, number>[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const costs = new Map<string, number>();
    for (const server of rotated(servers, round))
      costs.set(server.subject.name, (await measure(server, work))['cpu'] ?? 0);
    measured.push(costs);
  }
  return measured.slice(1);
}

/** Of a server of Signalbox that has more than the others. */
async function further(work: Load): Promise<Map<string, number>[]> {
  const server = await start(postgres, signalbox, work.further);
  const measured: Map<string, number>[] = [];
  for (let round = 0; round <= rounds; round += 1)
    measured.push(new Map([[signalbox.name, (await measure(server, work))['cpu'] ?? 0]]));
  await stop(server);
  return measured.slice(1);
}

async function startUps(): Promise<Map<string, number>[]> {
  return eachRound(async ({ startUp }) => startUp);
}

async function memoryRows(work: Memory): Promise<readonly Row[]> {
  const measured = await eachRound((server) => measure(server, work), Math.min(rounds, memoryRounds));
  const part = (name: string, unit: number) =>
    measured.map((round) => new Map([...round].map(([subject, figures]) => [subject, (figures[name] ?? 0) / unit])));
  return [
    { name: 'resident memory, each further connection', unit: 'KiB', rounds: part('perConnection', 1) },
    { name: 'resident memory, the fixed part', unit: 'MiB', rounds: part('fixed', 1_024) },
  ];
}

/** Something of new servers, one after the other. */
async function eachRound<Result>(
  work: (server: Server) => Promise<Result>,
  times = rounds,
): Promise<Map<string, Result>[]> {
  const measured: Map<string, Result>[] = [];
  for (let round = 0; round < times; round += 1) {
    const results = new Map<string, Result>();
    for (const subject of rotated<Subject>([signalbox, ...others], round)) {
      const server = await start(postgres, subject);
      results.set(subject.name, await work(server));
      await stop(server);
    }
    measured.push(results);
  }
  return measured;
}

/** A B C, B C A, C A B, …: none always follows the same one. */
function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const first = by % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}

/** In a process of its own. @throws Error where the generator fails or takes too long */
async function measure({ subject, port, pid }: Server, work: Job['work']): Promise<Figures> {
  const job: Job = { work, dialect: subject.dialect, port, pid, seconds };
  const generator = fork(fileURLToPath(new URL('generator.js', import.meta.url)), [JSON.stringify(job)]);
  const timer = setTimeout(() => generator.kill('SIGKILL'), measurementLimit);
  let figures: Figures | undefined;
  generator.once('message', (told: Figures) => {
    figures = told;
  });
  await once(generator, 'exit');
  clearTimeout(timer);
  if (figures === undefined) throw new Error(`${work.kind} of ${subject.name} could not be measured.`);
  return figures;
}

function method(): string {
  const [cpu] = cpus();
  return [
    `${new Date().toISOString().slice(0, 10)}, ${cpus().length} cores (${cpu?.model.trim()}), Node ${process.version}, load average ${loadavg()[0]?.toFixed(1)}.`,
    'Processor time of the server for one operation, all threads: the median of ' +
      `${rounds} interleaved rounds of ${seconds} s (least–most).`,
    'Other columns: Signalbox divided by the peer inside one round. Below 1, Signalbox takes less.\n',
  ].join('\n');
}

function tell(name: string): void {
  process.stderr.write(`${new Date().toLocaleTimeString('en-GB')} ${name}\n`);
}
