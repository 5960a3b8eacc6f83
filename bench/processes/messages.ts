import { setTimeout as pause } from 'node:timers/promises';
import { within } from '../../spec/support/deadline.js';
import type { PostgresServer } from '../../spec/support/postgres.js';
import { Program } from '../../spec/support/programs.js';
import { RedisServer } from '../../spec/support/redis.js';
import { now } from '../bars/moment.js';
import { median, percentile, shown } from '../bars/report.js';
import { installPeers } from '../compare/install-peers.js';
import { processorTime } from '../compare/process-figures.js';
import { Audience } from './audience.js';
import { clockOfPostgres, clockOfRedis, type ProcessorClock } from './engines.js';
import type { GroupCommands, GroupServerOptions } from './group-server.js';

export interface MessagesOptions {
  readonly rounds: number;
  /** Of a flood, and as long again at a steady rate. */
  readonly seconds: number;
  /** Messages per second where they are not flooded. */
  readonly rate: number;
  readonly sockets: number;
  /** How many messages are sent, and not yet with all sockets, in a flood. */
  readonly window: number;
}

type Server = Program<GroupCommands, { readonly port: number }>;

/** One process sends, and the sockets of one of them get it. */
interface Subject {
  readonly name: string;
  readonly sender: Server;
  readonly receiver: Server;
  readonly audience: Audience;
  /** Of the server between the processes. */
  readonly engine?: ProcessorClock;
}

/** By the names of `rows`. */
type Figures = ReadonlyMap<string, number>;

interface Costs {
  readonly sender: number;
  readonly receiver: number;
  readonly engine: number;
  readonly generator: number;
}

const peerName = 'Socket.IO, Redis';

/** The frame that a socket gets has about 450 bytes. */
const text = 'a message of some length, as people write them; '.repeat(9);

/** How many messages one order to the sender is for. */
const step = 8;

/** A flood ends by what is delivered, so one that loses a message would not end. */
const measurementLimit = 60_000;

const rows = [
  'flooded, deliveries/s',
  'flooded, sender, us per message',
  'flooded, receiver, us per message',
  'flooded, sender and receiver, us per message',
  'flooded, server between them, us per message',
  'flooded, generator, % of a core',
  'steady, p50, ms',
  'steady, p99, ms',
  'steady, sender and receiver, us per message',
] as const;

type Row = (typeof rows)[number];

/** Messages from one process to the sockets of another one, by our carriers and by Socket.IO's. */
export async function measureMessages(postgres: PostgresServer, options: MessagesOptions): Promise<void> {
  installPeers();
  const redis = await RedisServer.start();
  const subjects = await startSubjects(postgres, redis, options.sockets);
  const rounds: Map<string, Figures>[] = [];
  for (const subject of subjects) await measure(subject, { ...options, seconds: 1 });
  for (let round = 0; round < options.rounds; round += 1) {
    const measured = new Map<string, Figures>();
    for (const subject of rotated(subjects, round)) measured.set(subject.name, await measure(subject, options));
    rounds.push(measured);
  }
  report(
    subjects.map(({ name }) => name),
    rounds,
    options,
  );
  for (const { audience } of subjects) audience.end();
  const servers = new Set(subjects.flatMap(({ sender, receiver }) => [sender, receiver]));
  await Promise.all([...servers].map((server) => server.kill()));
  await redis.kill();
}

async function startSubjects(
  postgres: PostgresServer,
  redis: RedisServer,
  sockets: number,
): Promise<readonly Subject[]> {
  const url = await postgres.createDatabase('bench_messages');
  const own = (layer: GroupServerOptions['layer']): Promise<Server> => {
    const options: GroupServerOptions = { layer, url, redis: redis.url, text };
    return Program.start(new URL('group-server.js', import.meta.url), options);
  };
  // This file runs as build/bench/bench/processes/messages.js, the peer beside its own packages.
  const peerFile = new URL('../../../../bench/peers/build/socket-io-group-server.js', import.meta.url);
  const peer = (): Promise<Server> => Program.start(peerFile, { redis: redis.url, text });
  const [ofPostgres, ofRedis] = [await clockOfPostgres(url), await clockOfRedis(redis.url)];
  const pair = async (
    name: string,
    start: () => Promise<Server>,
    dialect: 'dcrf' | 'socketIo',
    engine: ProcessorClock,
  ): Promise<Subject> => {
    const [sender, receiver] = [await start(), await start()];
    return { name, sender, receiver, audience: await Audience.open(receiver.ready.port, dialect, sockets), engine };
  };
  const alone = await own('memory');
  return [
    await pair('ours, NOTIFY', () => own('notify'), 'dcrf', ofPostgres),
    await pair('ours, Redis', () => own('redis'), 'dcrf', ofRedis),
    await pair(peerName, peer, 'socketIo', ofRedis),
    {
      name: 'ours, one process',
      sender: alone,
      receiver: alone,
      audience: await Audience.open(alone.ready.port, 'dcrf', sockets),
    },
  ];
}

async function measure(subject: Subject, options: MessagesOptions): Promise<Figures> {
  const isPair = subject.sender !== subject.receiver;
  const both = ({ sender, receiver }: Costs): number => (isPair ? sender + receiver : sender);
  const { messages, seconds, costs } = await flood(subject, options);
  const steady = await sendSteadily(subject, options);
  const values: Readonly<Record<Row, number>> = {
    'flooded, deliveries/s': (messages * subject.audience.size) / seconds,
    'flooded, sender, us per message': isPair ? costs.sender / messages : Number.NaN,
    'flooded, receiver, us per message': isPair ? costs.receiver / messages : Number.NaN,
    'flooded, sender and receiver, us per message': both(costs) / messages,
    'flooded, server between them, us per message': costs.engine / messages,
    'flooded, generator, % of a core': costs.generator / seconds / 10_000,
    'steady, p50, ms': percentile(steady.latencies, 0.5),
    'steady, p99, ms': percentile(steady.latencies, 0.99),
    'steady, sender and receiver, us per message': both(steady.costs) / steady.messages,
  };
  return new Map(Object.entries(values));
}

/** As fast as they are delivered, with a bounded number under way. */
async function flood({ sender, receiver, audience, engine }: Subject, { seconds, window }: MessagesOptions) {
  const stop = startClocks(sender, receiver, engine);
  const began = now();
  const end = began + seconds * 1_000;
  const done = Promise.withResolvers<void>();
  /** By number, how many sockets have it. */
  const arrived: number[] = [];
  let [sent, complete] = [0, 0];
  const sendMore = (): void => {
    sender.ask('send', sent, step).catch(done.reject);
    sent += step;
  };
  audience.begin();
  audience.onDelivery = (number) => {
    const count = (arrived[number] ?? 0) + 1;
    arrived[number] = count;
    if (count < audience.size) return;
    complete += 1;
    if (complete % step !== 0) return;
    if (now() < end) sendMore();
    else if (complete === sent) done.resolve();
  };
  while (sent < window) sendMore();
  await within(done.promise, 'A flood', measurementLimit);
  return { messages: sent, seconds: (now() - began) / 1_000, costs: stop() };
}

async function sendSteadily({ sender, receiver, audience, engine }: Subject, { seconds, rate }: MessagesOptions) {
  const count = seconds * rate;
  const deliveries: { readonly number: number; readonly at: number }[] = [];
  const sent: Promise<number>[] = [];
  const done = Promise.withResolvers<void>();
  audience.begin();
  audience.onDelivery = (number) => {
    deliveries.push({ number, at: now() });
    if (deliveries.length === count * audience.size) done.resolve();
  };
  const stop = startClocks(sender, receiver, engine);
  const start = now();
  for (let number = 0; number < count; number += 1) {
    await pause(Math.max(0, start + (number * 1_000) / rate - now()));
    sent.push(sender.ask('send', number, 1));
  }
  await within(done.promise, 'Messages at a steady rate', measurementLimit);
  const costs = stop();
  const began = await Promise.all(sent);
  const latencies = deliveries.map(({ number, at }) => at - (began[number] ?? Number.NaN));
  return { messages: count, latencies, costs };
}

/** @returns what gives the microseconds that each process has run since */
function startClocks(sender: Server, receiver: Server, engine: ProcessorClock = () => Number.NaN): () => Costs {
  const read = (): Costs => ({
    sender: processorTime(sender.pid),
    receiver: processorTime(receiver.pid),
    engine: engine(),
    generator: processorTime(process.pid),
  });
  const before = read();
  return () => {
    const after = read();
    return {
      sender: after.sender - before.sender,
      receiver: after.receiver - before.receiver,
      engine: after.engine - before.engine,
      generator: after.generator - before.generator,
    };
  };
}

function report(
  names: readonly string[],
  rounds: readonly Map<string, Figures>[],
  { sockets, rate, seconds, window }: MessagesOptions,
): void {
  const figures = (name: string, row: string): readonly number[] =>
    rounds.map((round) => round.get(name)?.get(row) ?? Number.NaN);
  write(
    `${sockets} sockets, a flood with ${window} messages under way and ${rate} messages/s, ${seconds} s each, ${rounds.length} rounds. ` +
      'Median (least–most), × what it is divided by Socket.IO in the same round.\n\n',
  );
  write(`| | ${names.join(' | ')} |\n|${' --- |'.repeat(names.length + 1)}\n`);
  for (const row of rows) {
    const peers = figures(peerName, row);
    const cells = names.map((name) => {
      const own = figures(name, row);
      if (own.some(Number.isNaN)) return '–';
      const ratios = own.map((figure, round) => figure / (peers[round] ?? Number.NaN));
      return name === peerName ? spread(own) : `${spread(own)} × ${spread(ratios)}`;
    });
    write(`| ${row} | ${cells.join(' | ')} |\n`);
  }
}

/** Each subject comes first in its turn. */
function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const start = by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}

function spread(values: readonly number[]): string {
  return `${shown(median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
}

function write(line: string): void {
  process.stdout.write(line);
}
