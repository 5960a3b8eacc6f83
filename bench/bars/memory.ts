import { type Bar, type Bench, onServer, subjects } from './bar.js';
import { disperse, gather } from './crowd.js';
import { shown } from './report.js';

/** So many come and go before anything is measured, so that code and caches are there. */
const forerunners = 500;

interface PerConnection {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
  /** Of the whole process, in bytes. */
  readonly process: number;
}

export const memory: Bar = {
  ids: ['B1'],
  about: 'what a connection takes, with ten subscriptions and without any',
  async run(bench) {
    const { connections, subscriptions } = bench.options;
    for (const each of new Set([subscriptions, 0])) {
      for (const subject of subjects) {
        const taken = await measure(bench, subject, each);
        const what = `${subject.name}, ${connections} connections with ${each} subscriptions`;
        tell(bench, what, taken, subject.server === 'signalbox' && each > 0);
      }
    }
  },
};

async function measure(
  bench: Bench,
  { server: name, path }: (typeof subjects)[number],
  subscriptions: number,
): Promise<PerConnection> {
  const { connections } = bench.options;
  return onServer(bench, name, async (server) => {
    const crowd = { port: server.port, path, subscriptions };
    await disperse(await gather({ ...crowd, size: Math.min(forerunners, connections) }));
    const before = await server.ask('memory');
    const clients = await gather({ ...crowd, size: connections });
    const after = await server.ask('memory');
    for (const client of clients) client.end();
    return {
      rss: (after.rss - before.rss) / connections,
      heapUsed: (after.heapUsed - before.heapUsed) / connections,
      external: (after.external - before.external) / connections,
      process: after.rss,
    };
  });
}

function tell({ report }: Bench, what: string, taken: PerConnection, hasBar: boolean): void {
  const [rss, heap, external] = [taken.rss, taken.heapUsed, taken.external].map((bytes) => bytes / 1_024);
  const megabytes = taken.process / 1_048_576;
  if (hasBar) {
    report.figure({ bar: 'B1', what: `RSS per connection, ${what}`, value: rss ?? 0, unit: 'KiB', atMost: 20 });
    report.figure({ bar: 'B1', what: `RSS of the server, ${what}`, value: megabytes, unit: 'MiB', atMost: 350 });
  } else
    report.note('B1', `RSS per connection, ${what}: ${shown(rss ?? 0)} KiB; of the server ${shown(megabytes)} MiB`);
  report.note('B1', `per connection: heap ${shown(heap ?? 0)} KiB, external ${shown(external ?? 0)} KiB`);
}
