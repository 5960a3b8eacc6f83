import type { PostgresServer } from '../../spec/support/postgres.js';
import { Program } from '../../spec/support/programs.js';
import { median, shown } from '../bars/report.js';
import { clockOfPostgres } from './engines.js';
import type { ReaderCommands, ReaderFigures, ReaderOptions } from './reader.js';
import type { WriterCommands } from './writer.js';

export interface ReadersOptions {
  readonly readers: number;
  readonly seconds: number;
  readonly rates: readonly number[];
  readonly listen: boolean;
  /** At least so many milliseconds are between two rings of the writer. */
  readonly gather: number;
}

type Reader = Program<ReaderCommands>;

/** What many processes cost that read the log, at several rates of commits: PostgreSQL, and each of them. */
export async function measureReaders(postgres: PostgresServer, options: ReadersOptions): Promise<void> {
  const { readers: count, seconds, rates, listen, gather } = options;
  const url = await postgres.createDatabase('bench_readers');
  const readers: Reader[] = [];
  for (let index = 0; index < count; index += 1) readers.push(await startReader({ url, listen }));
  const writer: Program<WriterCommands> = await Program.start(new URL('writer.js', import.meta.url), { url, gather });
  const serverTime = await clockOfPostgres(url);
  process.stdout.write(
    `${count} readers, ${listen ? `rung, ${gather} ms between two rings` : 'polling'}, ${seconds} s for each rate\n`,
  );
  process.stdout.write(`${heads.join(' | ')}\n`);
  await writer.ask('write', 2, 100);
  for (const rate of rates) {
    await Promise.all(readers.map((reader) => reader.ask('idle').then(() => reader.ask('begin'))));
    const [before, writerBefore] = [serverTime(), await writer.ask('cpu')];
    const commits = await writer.ask('write', seconds, rate);
    await Promise.all(readers.map((reader) => reader.ask('idle')));
    const [after, writerAfter] = [serverTime(), await writer.ask('cpu')];
    const figures = await Promise.all(readers.map((reader) => reader.ask('figures')));
    report({ rate, seconds, commits, database: after - before, writer: writerAfter - writerBefore, figures });
  }
  await Promise.all([writer, ...readers].map((program) => program.kill()));
}

function startReader(options: ReaderOptions): Promise<Reader> {
  return Program.start(new URL('reader.js', import.meta.url), options);
}

interface Measured {
  readonly rate: number;
  readonly seconds: number;
  readonly commits: number;
  /** Microseconds. */
  readonly database: number;
  readonly writer: number;
  readonly figures: readonly ReaderFigures[];
}

const heads = [
  'asked/s',
  'commits/s',
  'lost',
  'PostgreSQL, % of a core',
  'writer, %',
  'each reader, %',
  'reads/s of each',
  'commit to reader p50, ms',
  'p99, ms',
];

function report({ rate, seconds, commits, database, writer, figures }: Measured): void {
  const share = (microseconds: number): string => shown(microseconds / seconds / 10_000);
  const lost = figures.reduce((sum, { rows }) => sum + Math.abs(commits - rows), 0);
  const cells = [
    shown(rate),
    shown(commits / seconds),
    `${lost}${figures.flatMap(({ missed }) => missed).join()}`,
    share(database),
    share(writer),
    share(median(figures.map(({ cpu }) => cpu))),
    shown(median(figures.map(({ reads }) => reads)) / seconds),
    shown(median(figures.map(({ p50 }) => p50))),
    shown(Math.max(...figures.map(({ p99 }) => p99))),
  ];
  process.stdout.write(`${cells.join(' | ')}\n`);
}
