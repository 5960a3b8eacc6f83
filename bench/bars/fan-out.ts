import { type Bar, type Bench, onServer, subjects, within } from './bar.js';
import { Client } from './client.js';
import { common, disperse, gather } from './crowd.js';
import { median, shown } from './report.js';
import type { Server } from './server.js';

const subscribers = 1_000;
const bursts = [1, 10] as const;

/** Bytes of a whole frame. */
const frameSize = 200;

interface Cost {
  /** Microseconds of the server's processor time for one delivery. */
  readonly cpu: number;
  /** Deliveries in one second of the wall's clock. */
  readonly perSecond: number;
}

export const fanOut: Bar = {
  ids: ['B4', 'B5'],
  about: `what a delivery costs: ${subscribers} subscribers, ${frameSize} bytes, one event at a time, and ten in a commit`,
  options: { connections: subscribers, events: 100 },
  async run(bench) {
    for (const burst of bursts) {
      const byHand = await costsOf(bench, subjects[2], burst);
      tell(bench, subjects[2].name, burst, byHand);
      for (const subject of subjects.slice(0, 2)) {
        const costs = await costsOf(bench, subject, burst);
        tell(bench, subject.name, burst, costs, median(byHand.map(({ cpu }) => cpu)));
      }
    }
  },
};

async function costsOf(
  bench: Bench,
  { server: name, path }: (typeof subjects)[number],
  burst: number,
): Promise<Cost[]> {
  const { connections, subscriptions, rounds } = bench.options;
  return onServer(bench, name, async (server) => {
    const clients = await gather({ port: server.port, path, size: connections, subscriptions });
    const publisher = await Client.open({ port: server.port, path });
    const text = 'x'.repeat(Math.max(1, frameSize - (await frameLength(publisher))));
    await publishAll(bench, server, { publisher, clients, burst, text });
    const costs: Cost[] = [];
    for (let round = 0; round < rounds; round += 1)
      costs.push(await publishAll(bench, server, { publisher, clients, burst, text }));
    await disperse([publisher, ...clients]);
    return costs;
  });
}

interface Publishing {
  readonly publisher: Client;
  readonly clients: readonly Client[];
  readonly burst: number;
  readonly text: string;
}

/** How long the frame of an event is whose text is empty. */
async function frameLength(publisher: Client): Promise<number> {
  const topic = -1;
  await publisher.request({ action: 'subscribe_topic', request_id: 0, topic });
  const both = publisher.nextOnes(2);
  publisher.send({ action: 'publish', request_id: 1, topic, number: 10, events: 1, text: '' });
  const event = (await both).find((frame) => frame.includes('"request_id":0'));
  return event?.length ?? 0;
}

/** Each burst when everybody has had the one before. */
async function publishAll(
  { options: { events } }: Bench,
  server: Server,
  { publisher, clients, burst, text }: Publishing,
): Promise<Cost> {
  const begun = performance.now();
  const times = Math.ceil(events / burst) * burst;
  const cpu = await server.cpuOf(async () => {
    for (let number = 0; number < times; number += burst) {
      const all = received(clients, burst);
      const replied = publisher.request({
        action: 'publish',
        request_id: number,
        topic: common,
        number,
        events: burst,
        text,
      });
      await within(60, 'A delivery to all', Promise.all([all, replied]));
    }
  });
  const deliveries = times * clients.length;
  return { cpu: cpu / deliveries, perSecond: deliveries / ((performance.now() - begun) / 1_000) };
}

/** Resolves once every client has got so many frames more. */
export function received(clients: readonly Client[], frames: number): Promise<void> {
  let left = clients.length * frames;
  return new Promise((resolve) => {
    const count = (): void => {
      left -= 1;
      if (left === 0) resolve();
    };
    for (const client of clients) client.onText = count;
  });
}

function tell({ report }: Bench, name: string, burst: number, costs: readonly Cost[], byHand?: number): void {
  const bar = burst === 1 ? 'B4' : 'B5';
  const cpu = costs.map((cost) => cost.cpu);
  const what = `${name}, ${burst === 1 ? 'one at a time' : `${burst} in a commit`}`;
  if (byHand !== undefined)
    report.figure({
      bar,
      what: `deliveries per second and core, ${what}`,
      value: 1_000_000 / median(cpu),
      unit: 'median',
      atLeast: burst === 1 ? 60_000 : 400_000,
    });
  const ratio = byHand === undefined ? '' : `, ${shown(median(cpu) / byHand)} times as much as by hand`;
  const perSecond = shown(median(costs.map((cost) => cost.perSecond)));
  report.note(
    bar,
    `${what}: ${shown(median(cpu))} us of processor, worst ${shown(Math.max(...cpu))}${ratio}; ${perSecond} a second`,
  );
}
