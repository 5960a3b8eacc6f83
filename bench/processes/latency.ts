import type { GivenSettings } from 'signalbox';
import type { PostgresServer } from '../../spec/support/postgres.js';
import { Program } from '../../spec/support/programs.js';
import { now } from '../bars/moment.js';
import { median, percentile, shown } from '../bars/report.js';
import { Client, type Frame } from '../client.js';
import type { ServerCommands, ServerOptions } from './server.js';

export interface LatencyOptions {
  readonly rounds: number;
  readonly seconds: number;
  readonly rate: number;
  readonly sockets: number;
}

type Server = Program<ServerCommands, { readonly port: number }>;

/** One of them writes, and the sockets of one of them are told. */
interface Subject {
  readonly name: string;
  readonly writer: Server;
  readonly teller: Server;
}

/** Milliseconds from a commit to its frames, and the processor time in microseconds per commit of who tells. */
interface Figures {
  readonly fromBegin: readonly number[];
  readonly fromAcknowledgement: readonly number[];
  readonly cpu: number;
}

interface NoteFrame extends Frame {
  readonly data: { readonly number: number } | null;
}

/** How long from a commit to a frame, where one process writes and tells, and where they are two. */
export async function measureLatency(postgres: PostgresServer, options: LatencyOptions): Promise<void> {
  const subjects = await startSubjects(postgres);
  const rounds = new Map<Subject, Figures[]>(subjects.map((subject) => [subject, []]));
  for (const subject of subjects) await measure(subject, { ...options, seconds: 2 });
  for (let round = 0; round < options.rounds; round += 1)
    for (const subject of rotated(subjects, round)) rounds.get(subject)?.push(await measure(subject, options));
  write(
    `${options.rate} commits/s, ${options.sockets} sockets, ${options.rounds} rounds of ${options.seconds} s; ms: median (least to most)\n`,
  );
  for (const [{ name }, figures] of rounds) {
    const lines = [
      ['begin of the flush to frame, p50', figures.map(({ fromBegin }) => percentile(fromBegin, 0.5))],
      ['begin of the flush to frame, p99', figures.map(({ fromBegin }) => percentile(fromBegin, 0.99))],
      ['acknowledgement to frame, p50', figures.map(({ fromAcknowledgement }) => percentile(fromAcknowledgement, 0.5))],
      [
        'acknowledgement to frame, p99',
        figures.map(({ fromAcknowledgement }) => percentile(fromAcknowledgement, 0.99)),
      ],
      ['processor time of who tells, us per commit', figures.map(({ cpu }) => cpu)],
    ] as const;
    for (const [what, values] of lines) write(`${name.padEnd(28)} ${what.padEnd(44)} ${spread(values)}\n`);
  }
  await Promise.all(
    new Set(subjects.flatMap(({ writer, teller }) => [writer, teller])).values().map((server) => server.kill()),
  );
}

async function startSubjects(postgres: PostgresServer): Promise<readonly Subject[]> {
  const start = (url: string, settings: GivenSettings = {}): Promise<Server> => {
    const options: ServerOptions = { url, settings };
    return Program.start(new URL('server.js', import.meta.url), options);
  };
  const alone = await start(await postgres.createDatabase('bench_alone'));
  const url = await postgres.createDatabase('bench_two');
  const [one, other] = [await start(url), await start(url)];
  const polled = await postgres.createDatabase('bench_polled');
  const polling: GivenSettings = { changeLog: { listen: false } };
  const [writing, telling] = [await start(polled, polling), await start(polled, polling)];
  return [
    { name: 'one process', writer: alone, teller: alone },
    { name: 'two, sockets of the writer', writer: one, teller: one },
    { name: 'two, sockets of the other', writer: one, teller: other },
    { name: 'two that poll, the other', writer: writing, teller: telling },
  ];
}

async function measure({ writer, teller }: Subject, { seconds, rate, sockets }: LatencyOptions): Promise<Figures> {
  const count = seconds * rate;
  const arrivals: number[][] = [];
  const clients = await Promise.all(Array.from({ length: sockets }, () => follower(teller, arrivals, count)));
  const before = await teller.ask('cpu');
  const commits = await writer.ask('write', count, rate);
  await Promise.all(clients.map(({ done }) => done));
  const cpu = ((await teller.ask('cpu')) - before) / count;
  for (const { client } of clients) client.close();
  const since = (moments: readonly number[]): readonly number[] =>
    arrivals.flatMap((moment, number) => moment.map((arrived) => arrived - (moments[number] ?? Number.NaN)));
  return {
    fromBegin: since(commits.map(({ began }) => began)),
    fromAcknowledgement: since(commits.map(({ acknowledged }) => acknowledged)),
    cpu,
  };
}

async function follower({ ready }: Server, arrivals: number[][], count: number) {
  const client = await Client.open(ready.port);
  const begun = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  let left = count;
  client.onFrame = (frame) => {
    const { data } = frame as NoteFrame;
    if (data === null) return begun.resolve();
    const moments = arrivals[data.number] ?? [];
    arrivals[data.number] = moments;
    moments.push(now());
    left -= 1;
    if (left === 0) done.resolve();
  };
  client.send({ action: 'follow', request_id: 1 });
  await begun.promise;
  return { client, done: done.promise };
}

/** Each subject comes first in its turn. */
function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function spread(values: readonly number[]): string {
  return `${shown(median(values))} (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`;
}

function write(text: string): void {
  process.stdout.write(text);
}
