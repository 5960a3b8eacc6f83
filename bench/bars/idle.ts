import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type Bench, onServer, subjects } from './bar.js';
import { gather } from './crowd.js';
import { shown } from './report.js';
import type { Server } from './server.js';

/** Milliseconds after which nothing of the handshakes is left to do. */
const settling = 5_000;

/** Seconds for which the server is looked at before anybody comes. */
const alone = 10;

export const idle: Bar = {
  ids: ['B2'],
  about: 'what connections cost that are open and silent, by the heartbeat',
  async run(bench) {
    const { connections, subscriptions, seconds } = bench.options;
    const compared = subjects.filter(({ name }) => name !== 'signal observer');
    for (const { name, server, path } of compared) {
      const { empty, full } = await measure(bench, server, path);
      const what = `${name}, ${connections} connections with ${subscriptions} subscriptions, ${seconds} s`;
      const share = `${shown(full)} % of a core, ${shown(empty)} % with nobody there`;
      if (server === 'by-hand') bench.report.note('B2', `${what}: ${share}`);
      else bench.report.figure({ bar: 'B2', what, value: full, unit: '% of a core', atMost: 5 });
      if (server !== 'by-hand') bench.report.note('B2', `${what}: ${share}`);
    }
  },
};

function measure(bench: Bench, name: (typeof subjects)[number]['server'], path: string) {
  const { connections, subscriptions, seconds } = bench.options;
  return onServer(bench, name, async (server) => {
    await delay(settling);
    const empty = await shareOf(server, alone);
    await gather({ port: server.port, path, size: connections, subscriptions });
    await delay(settling);
    return { empty, full: await shareOf(server, seconds) };
  });
}

/** Per cent of one core. */
async function shareOf(server: Server, seconds: number): Promise<number> {
  return (await server.cpuOf(() => delay(seconds * 1_000))) / seconds / 10_000;
}
