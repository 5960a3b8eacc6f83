import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';

/** The part of a second in which an idle process' event loop may be busy. */
const idleUtilization = 0.05;

/** The interval of checks in milliseconds. */
const interval = 1_000;

/** How the memory that a burst of handshakes leaves behind is returned to the operating system. */
export interface Tidying {
  /** Returns the part of the time since the last call in which the event loop was busy. */
  readonly utilization: () => number;
  /** Collects garbage and shrinks the heap, while nothing else runs. Returns the duration in milliseconds. */
  readonly collect: () => Promise<number>;
}

/**
 * Frees memory in an idle process: V8 keeps the memory of a burst of handshakes for good. After a set number of new connections, and when
 * the event loop has been idle for a second, one full collection frees it; never under load, because all clients wait for it.
 */
export class IdleTidying {
  #opened = 0;
  #isLooking = false;

  /** @param after number of new connections */
  constructor(
    private readonly after: number,
    private readonly clock: Clock,
    private readonly logger: Logger,
    private readonly tidying: Tidying = { utilization: utilizationMeter(), collect: collectGarbage },
  ) {}

  /** Counts an opened connection. */
  opened(): void {
    this.#opened += 1;
    if (this.#opened < this.after || this.#isLooking) return;
    this.#isLooking = true;
    this.tidying.utilization();
    this.clock.after(interval, this.#look);
  }

  readonly #look = (): void => {
    if (this.tidying.utilization() > idleUtilization) {
      this.clock.after(interval, this.#look);
      return;
    }
    this.#isLooking = false;
    this.#opened = 0;
    void this.#tidy();
  };

  async #tidy(): Promise<void> {
    const before = process.memoryUsage.rss();
    try {
      const pause = await this.tidying.collect();
      const fields = { pause: Math.round(pause), before, after: process.memoryUsage.rss() };
      this.logger.info('The idle process released memory.', fields);
    } catch (error) {
      this.logger.warn('The idle process could not release memory.', { error });
    }
  }
}

function utilizationMeter(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}

/** Asks the inspector to tell V8 that memory is low: Node has no other way without a flag. */
async function collectGarbage(): Promise<number> {
  const { Session } = await import('node:inspector');
  const session = new Session();
  session.connect();
  try {
    const began = performance.now();
    await promisify((done: (error: Error | null) => void) => session.post('HeapProfiler.collectGarbage', done))();
    return performance.now() - began;
  } finally {
    session.disconnect();
  }
}
