import { readdirSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

export interface Memory {
  readonly rss: number;
  readonly heapUsed: number;
  readonly external: number;
}

/** Microseconds. */
export interface Cpu {
  readonly user: number;
  readonly system: number;
}

/** Milliseconds. */
export interface Delays {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Resources {
  readonly files: number;
  readonly handles: number;
}

export interface Gauges {
  /** After garbage was collected, and until it grew no smaller. */
  memory(): Promise<Memory>;
  /** After garbage was collected once, as it may happen at any time. */
  collected(): Memory;
  /** Resident memory as it is, in bytes. */
  resident(): number;
  /** The same, and what it is made of, in bytes. */
  usage(): NodeJS.MemoryUsage;
  cpu(): Cpu;
  /** Files that are open, and what else keeps the process alive. */
  resources(): Resources;
  /** Delays of the event loop are noted from here on. */
  watchDelays(): void;
  /** Those that were noted. */
  delays(): Delays;
  /** What the server counts by itself, by name. */
  counts(): Readonly<Record<string, number>>;
}

export type GaugeName = keyof Gauges;

interface Question {
  readonly id: number;
  readonly gauge: GaugeName;
}

/** A new one each time: one that was paused counts the pause as a delay. */
let loop = monitorEventLoopDelay({ resolution: 1 });
const counted: Record<string, number> = {};

const gauges: Gauges = {
  async memory() {
    let least = process.memoryUsage();
    for (let round = 0; round < 6; round += 1) {
      await delay(250);
      globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
      const now = process.memoryUsage();
      if (now.rss < least.rss || now.heapUsed < least.heapUsed) least = now;
    }
    return { rss: least.rss, heapUsed: least.heapUsed, external: least.external };
  },
  collected() {
    globalThis.gc?.();
    return process.memoryUsage();
  },
  resident: () => process.memoryUsage.rss(),
  usage: () => process.memoryUsage(),
  cpu: () => process.cpuUsage(),
  resources: () => ({
    files: readdirSync('/proc/self/fd').length,
    handles: process.getActiveResourcesInfo().length,
  }),
  watchDelays() {
    loop = monitorEventLoopDelay({ resolution: 1 });
    loop.enable();
  },
  delays() {
    loop.disable();
    const inMilliseconds = (nanoseconds: number): number => nanoseconds / 1e6;
    const [p50, p99, max] = [loop.percentile(50), loop.percentile(99), loop.max].map(inMilliseconds);
    return { p50: p50 ?? 0, p99: p99 ?? 0, max: max ?? 0 };
  },
  counts: () => ({ ...counted }),
};

export function count(name: string, by = 1): void {
  counted[name] = (counted[name] ?? 0) + by;
}

export function setCount(name: string, value: number): void {
  counted[name] = value;
}

/** Answers the process that forked this one. */
export function serveGauges(port: number): void {
  process.on('message', ({ id, gauge }: Question) => void answer(id, gauge));
  process.on('disconnect', () => process.exit());
  process.send?.({ port });
}

async function answer(id: number, gauge: GaugeName): Promise<void> {
  const value = await gauges[gauge]();
  process.send?.({ id, value });
}
