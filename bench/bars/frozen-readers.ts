import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type Bench, onServer, subjects } from './bar.js';
import { Client } from './client.js';
import { common, disperse, gather } from './crowd.js';
import { now } from './moment.js';
import { percentile, shown } from './report.js';
import type { Server } from './server.js';

const frozen = 1_000;
const healthy = 100;

/** Characters of an event, and how many there are in a second. */
const size = 16_384;
const pace = 10;

/** Seconds for which the healthy ones are looked at while all read, and for how long at most beside the frozen ones. */
const before = 10;
const longest = 90;

export const frozenReaders: Bar = {
  ids: ['B11'],
  about: `${frozen} clients that stop reading beside ${healthy} that go on, ${pace} events of ${size / 1_024} KiB a second`,
  async run(bench) {
    const [model] = subjects;
    await onServer(bench, model.server, (server) => measure(bench, server, model.path));
  },
};

async function measure({ report }: Bench, server: Server, path: string): Promise<void> {
  const { port } = server;
  const readers = await gather({ port, path, size: healthy, subscriptions: 1 });
  const publisher = await Client.open({ port, path });
  const others = await gather({ port, path, size: frozen, subscriptions: 1 });
  const alone = await latencies(readers, publisher, () => delay(before * 1_000));
  await disperse(others);
  for (const client of await gather({ port, path, size: frozen, subscriptions: 1 })) client.socket.pause();
  const { rss: start } = await server.ask('usage');
  const begun = performance.now();
  let most = await server.ask('usage');
  let noticed: number | undefined;
  const beside = await latencies(readers, publisher, async () => {
    for (let counts = await server.ask('counts'); !isOver(counts, begun); counts = await server.ask('counts')) {
      if (counts['signalbox.outbound_bytes']) noticed ??= performance.now();
      const usage = await server.ask('usage');
      if (usage.rss > most.rss) most = usage;
      await delay(100);
    }
  });
  const seconds = (performance.now() - (noticed ?? begun)) / 1_000;
  const left = connectionsIn(await server.ask('counts')) - healthy - 1;
  const ratio = percentile(beside, 0.99) / percentile(alone, 0.99);
  report.figure({
    bar: 'B11',
    what: 'more resident memory',
    value: (most.rss - start) / 1_048_576,
    unit: 'MiB',
    atMost: 300,
  });
  report.figure({
    bar: 'B11',
    what: 'from the first byte that the system did not take to the last cut',
    value: seconds,
    unit: 's',
    atMost: 15,
  });
  report.figure({ bar: 'B11', what: 'frozen ones that were left', value: left, unit: '', atMost: 0 });
  report.figure({ bar: 'B11', what: "the healthy ones' p99, times as long", value: ratio, unit: '', atMost: 2 });
  const parts = [most.heapUsed, most.heapTotal, most.external].map((bytes) => shown(bytes / 1_048_576)).join(', ');
  report.note('B11', `heap in use, heap in all, outside of it, when there was most: ${parts} MiB`);
  const p = (values: readonly number[]): string =>
    `p50 ${shown(percentile(values, 0.5))}, p99 ${shown(percentile(values, 0.99))} ms`;
  report.note('B11', `from the event to the healthy ones: ${p(alone)} while all read, ${p(beside)} beside frozen ones`);
  report.note('B11', `the system took all for ${shown(((noticed ?? begun) - begun) / 1_000)} s before`);
  report.note('B11', `limits that cut them: ${JSON.stringify(await server.ask('counts'))}`);
}

/** Milliseconds from each event to each reader, while events are published at a steady pace during a work. */
async function latencies(
  readers: readonly Client[],
  publisher: Client,
  work: () => Promise<void>,
): Promise<readonly number[]> {
  const taken: number[] = [];
  const read = (text: Buffer): void => {
    const at = text.indexOf('"at":') + 5;
    taken.push(now() - Number.parseFloat(text.toString('latin1', at, at + 24)));
  };
  for (const reader of readers) reader.onText = read;
  let number = 0;
  const text = 'x'.repeat(size);
  const publish = (): void =>
    publisher.send({ action: 'publish', request_id: 1, topic: common, number: number++, events: 1, text });
  const timer = setInterval(publish, 1_000 / pace);
  await work();
  clearInterval(timer);
  return taken;
}

type Counts = Readonly<Record<string, number>>;

function isOver(counts: Counts, begun: number): boolean {
  return connectionsIn(counts) <= healthy + 1 || performance.now() - begun > longest * 1_000;
}

function connectionsIn(counts: Counts): number {
  return counts['signalbox.connections'] ?? 0;
}
