import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';

/** The part of a second for which the event loop of an idle process may have been busy. */
const idleUtilization = 0.05;

/** How often the process is looked at, in milliseconds. */
const interval = 1_000;

/** What a burst of handshakes leaves behind is given back to the operating system in a pause; this is how. */
export interface Tidying {
  /** The part of the time since the last call for which the event loop was busy. */
  readonly utilization: () => number;
  /** Collects garbage and shrinks the heap. Nothing else runs meanwhile. Returns how long, in milliseconds. */
  readonly collect: () => Promise<number>;
}

/**
 * V8 keeps the memory of a burst of handshakes for good. After a set number of new connections, and once the event loop has been
 * idle for a second, one full collection gives it back; never under load, because all clients wait for it.
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

  /** A connection was opened. */
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
      this.logger.info('The idle process gave memory back.', fields);
    } catch (error) {
      this.logger.warn('The idle process could not give memory back.', { error });
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

/** Node has no other way that needs no flag: the inspector tells V8 that memory is low. */
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
