import type { Histogram } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { type Bar, type Bench, onServer, subjects } from './bar.js';
import type { Resources } from './gauges.js';
import { shown } from './report.js';
import type { Server } from './server.js';
import { SoakCrowd } from './soak-crowd.js';
import { type Sample, slopeOf } from './trend.js';

/** The part of the time in which nothing is expected of memory. */
const warmUp = 1 / 6;

/** How often memory is looked at: every 10 seconds, or less often in a long soak, for garbage is collected each time. */
const samplesPerMinute = 6;
const mostSamples = 150;

/** Milliseconds in which what was written last arrives, and in which the server lets go of what it needs no more. */
const settling = 3_000;
const longestEnd = 60_000;

export const soak: Bar = {
  ids: ['B12'],
  about: 'hours of coming, going and writing: memory, descriptors, and every event in its order',
  options: { connections: 5_000 },
  async run(bench) {
    const [{ server: name, path }] = subjects;
    await onServer(bench, name, (server) => measure(bench, server, path));
  },
};

async function measure(bench: Bench, server: Server, path: string): Promise<void> {
  const { connections: size, subscriptions, churn, changes } = bench.options;
  await server.ask('memory');
  const start = await server.ask('resources');
  const crowd = new SoakCrowd({ port: server.port, path, size, subscriptions });
  await crowd.gather();
  const works = [crowd.write(changes), crowd.churn(churn)];
  const begun = performance.now();
  const cpuBefore = await server.ask('cpu');
  const memory = await watchMemory(bench, server, crowd);
  crowd.stop();
  await Promise.all(works);
  const cpu = await server.ask('cpu');
  const microseconds = cpu.user + cpu.system - cpuBefore.user - cpuBefore.system;
  const seconds = (performance.now() - begun) / 1_000;
  await delay(settling);
  const missing = crowd.end();
  tellEvents(bench, crowd, missing, seconds);
  tellMemory(bench, memory);
  bench.report.note('B12', `${shown(microseconds / seconds / 10_000)} % of a core for all of it`);
  await tellResources(bench, server, start);
}

interface MemorySamples {
  readonly rss: readonly Sample[];
  readonly heap: readonly Sample[];
}

async function watchMemory({ report, options }: Bench, server: Server, crowd: SoakCrowd): Promise<MemorySamples> {
  const [rss, heap]: [Sample[], Sample[]] = [[], []];
  const hours = options.minutes / 60;
  const samples = Math.ceil(Math.min(mostSamples, options.minutes * samplesPerMinute));
  const begun = performance.now();
  for (let each = 1; each <= samples; each += 1) {
    await delay(Math.max(0, begun + (each * hours * 3_600_000) / samples - performance.now()));
    const at = (performance.now() - begun) / 3_600_000;
    const memory = await server.ask('collected');
    rss.push({ at, value: memory.rss / 1_048_576 });
    heap.push({ at, value: memory.heapUsed / 1_048_576 });
    const size = `${shown(memory.rss / 1_048_576)} MiB, heap ${shown(memory.heapUsed / 1_048_576)} MiB`;
    if (each % Math.ceil(samples / 10) === 0)
      report.note('B12', `after ${shown(at * 60)} min: ${size}, ${shown(crowd.heard.events)} events`);
  }
  const isWarm = ({ at }: Sample): boolean => at >= hours * warmUp;
  return { rss: rss.filter(isWarm), heap: heap.filter(isWarm) };
}

function tellEvents({ report }: Bench, crowd: SoakCrowd, missing: readonly string[], seconds: number): void {
  const what = `of ${shown(crowd.heard.events)} from ${shown(crowd.changes)} changes`;
  const { failures } = crowd.heard;
  report.figure({ bar: 'B12', what: `events out of order, ${what}`, value: failures.length, unit: '', atMost: 0 });
  report.figure({
    bar: 'B12',
    what: 'topics that did not arrive to their end',
    value: missing.length,
    unit: '',
    atMost: 0,
  });
  report.figure({ bar: 'B12', what: 'closes by the server', value: crowd.closed, unit: '', atMost: 0 });
  for (const text of [...failures, ...missing].slice(0, 10)) report.note('B12', text);
  const rates = `${shown(crowd.changes / seconds)} changes and ${shown(crowd.churned / seconds)} connections a second`;
  report.note('B12', rates);
  const p = (taken: Histogram): string =>
    `p50 ${shown(taken.percentile(50) / 1_000)}, p99 ${shown(taken.percentile(99) / 1_000)} ms`;
  report.note(
    'B12',
    `from the change to its event ${p(crowd.heard.latencies)}; until the writer was answered ${p(crowd.writing)}`,
  );
}

function tellMemory({ report }: Bench, { rss, heap }: MemorySamples): void {
  const [all, own] = [slopeOf(rss), slopeOf(heap)];
  report.figure({ bar: 'B12', what: 'resident memory, after a warm-up', value: all.slope, unit: 'MiB/h', atMost: 1 });
  const heapText = `heap ${shown(own.slope)} +- ${shown(own.error)}`;
  report.note(
    'B12',
    `rise in an hour with its standard error: resident ${shown(all.slope)} +- ${shown(all.error)}, ${heapText} MiB`,
  );
}

async function tellResources({ report }: Bench, server: Server, start: Resources): Promise<void> {
  const begun = performance.now();
  let left = await server.ask('resources');
  while ((left.files > start.files || left.handles > start.handles) && performance.now() - begun < longestEnd) {
    await delay(500);
    left = await server.ask('resources');
  }
  const { files, handles } = left;
  report.figure({ bar: 'B12', what: 'open files more than before', value: files - start.files, unit: '', atMost: 0 });
  report.figure({ bar: 'B12', what: 'handles more than before', value: handles - start.handles, unit: '', atMost: 0 });
}
