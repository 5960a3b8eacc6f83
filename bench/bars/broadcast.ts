import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type Bench, onServer, subjects, within } from './bar.js';
import { Client } from './client.js';
import { common, gather } from './crowd.js';
import { received } from './fan-out.js';
import type { Delays } from './gauges.js';
import { percentile, shown } from './report.js';
import { startBystander } from './start-bystander.js';

export const broadcast: Bar = {
  ids: ['B10'],
  about: 'how long everybody else waits while one event after the other goes to all',
  options: { events: 20, subscriptions: 1 },
  async run(bench) {
    for (const subject of subjects) tell(bench, subject, await measure(bench, subject));
  },
};

interface Waiting {
  readonly loop: Delays;
  /** Of requests, in milliseconds: while nothing else happens, and during broadcasts. */
  readonly quiet: readonly number[];
  readonly busy: readonly number[];
  /** Milliseconds until all had the event. */
  readonly broadcasts: readonly number[];
}

async function measure(bench: Bench, { server: name, path }: (typeof subjects)[number]): Promise<Waiting> {
  const { connections, subscriptions, events } = bench.options;
  return onServer(bench, name, async (server) => {
    const { port } = server;
    const clients = await gather({ port, path, size: connections, subscriptions });
    const publisher = await Client.open({ port, path });
    const bystander = await startBystander(port, path);
    const publish = async (number: number): Promise<void> => {
      const all = received(clients, 1);
      publisher.send({ action: 'publish', request_id: 1, topic: common, number, events: 1, text: 'x'.repeat(70) });
      await within(60, 'A broadcast', all);
    };
    for (let number = 0; number < 3; number += 1) await publish(number);
    const quiet = await bystander.during(() => delay(3_000));
    const broadcasts: number[] = [];
    await server.ask('watchDelays');
    const busy = await bystander.during(async () => {
      for (let number = 0; number < events; number += 1) {
        const begun = performance.now();
        await publish(number);
        broadcasts.push(performance.now() - begun);
      }
    });
    const loop = await server.ask('delays');
    bystander.stop();
    return { loop, quiet, busy, broadcasts };
  });
}

function tell(
  { report, options }: Bench,
  { name, server }: (typeof subjects)[number],
  { loop, quiet, busy, broadcasts }: Waiting,
): void {
  const what = `${name}, broadcasts to ${options.connections}`;
  if (server === 'signalbox')
    report.figure({ bar: 'B10', what: `event loop's delay p99, ${what}`, value: loop.p99, unit: 'ms', atMost: 20 });
  const waits = (values: readonly number[]): string =>
    `p50 ${shown(percentile(values, 0.5))}, p99 ${shown(percentile(values, 0.99))} ms`;
  report.note(
    'B10',
    `${what}: event loop p50 ${shown(loop.p50)}, p99 ${shown(loop.p99)}, longest ${shown(loop.max)} ms; ` +
      `a request meanwhile ${waits(busy)}, else ${waits(quiet)}; all had it after ${waits(broadcasts)}`,
  );
}
