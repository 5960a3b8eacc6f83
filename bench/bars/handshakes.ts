import { type Bar, type Bench, onServer, within } from './bar.js';
import type { Client } from './client.js';
import { disperse, gather } from './crowd.js';
import { median, percentile, shown } from './report.js';
import type { Server, ServerName } from './server.js';
import { tokenOf } from './tokens.js';

/** Over so many milliseconds clients that lost their server come back: the first delay of `signalbox/client`. */
const jitter = 3_000;

export const handshakes: Bar = {
  ids: ['B3'],
  about: 'what a handshake costs whose user is found by a token, and how long all take to come back',
  async run(bench) {
    const byHand = await costOf(bench, 'by-hand');
    const ours = await costOf(bench, 'signalbox');
    const { report } = bench;
    report.note('B3', `by hand: ${shown(byHand)} us of processor for a handshake`);
    report.figure({
      bar: 'B3',
      what: 'handshakes per second and core',
      value: 1_000_000 / ours,
      unit: 'median',
      atLeast: 2_500,
    });
    report.note(
      'B3',
      `${shown(ours)} us of processor for a handshake, ${shown(ours / byHand)} times as much as by hand`,
    );
    for (const limits of [{ handshakesPerSecond: 500 }, {}]) await reconnect(bench, limits);
  },
};

const headersOf = (index: number): Record<string, string> => ({ authorization: `Bearer ${tokenOf(index)}` });

/** Microseconds of the server's processor time, from the upgrade to its answer. The end of the connection does not count. */
function costOf(bench: Bench, name: ServerName): Promise<number> {
  const size = Math.min(5_000, bench.options.connections);
  return onServer(bench, name, async (server) => {
    const costs: number[] = [];
    for (let round = 0; round <= bench.options.rounds; round += 1) {
      const clients: Client[] = [];
      const open = async () => clients.push(...(await gather({ port: server.port, path: '/user/', size, headersOf })));
      costs.push((await server.cpuOf(open)) / size);
      await disperse(clients);
    }
    return median(costs.slice(1));
  });
}

/** All are gone at once, and come back with all that they were subscribed to. */
function reconnect(bench: Bench, limits: { readonly handshakesPerSecond?: number }): Promise<void> {
  const { connections: size, subscriptions } = bench.options;
  const work = async ({ port }: Server): Promise<void> => {
    const crowd = { port, path: '/user/', size, subscriptions, headersOf };
    const taken: number[] = [];
    let failed = 0;
    const begun = performance.now();
    const onOpened = (milliseconds: number, failures: number): void => {
      taken.push(milliseconds);
      failed += failures;
    };
    await within(180, 'Coming back', gather({ ...crowd, onOpened, jitter }));
    const seconds = (performance.now() - begun) / 1_000;
    const what = `${size} come back, ${limits.handshakesPerSecond ?? 'any number'} a second`;
    bench.report.figure({
      bar: 'B3',
      what: `${what}, until all are subscribed`,
      value: seconds,
      unit: 's',
      atMost: 30,
    });
    const p99 = percentile(taken, 0.99) / 1_000;
    bench.report.figure({ bar: 'B3', what: `${what}, p99 of the handshakes`, value: p99, unit: 's', atMost: 3 });
    bench.report.note('B3', `${failed} attempts were refused, and made again later`);
  };
  return onServer(bench, 'signalbox', work, { limits });
}
