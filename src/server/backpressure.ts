import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { OutboundSettings } from '../settings.js';
import type { Counters } from '../telemetry.js';
import { FrameSizes } from './outbound-queue.js';

/** Which limit a slow reader broke. */
export type SlowReason = 'time' | 'size' | 'total';

/** What one connection has sent and its client has not read. */
export interface OutboundBacklog {
  /** In bytes. */
  readonly pending: number;
  /** Since when the oldest frame waits, in milliseconds; undefined where none does. */
  readonly oldest: number | undefined;
  /** Writes what was sent in this tick. */
  flush(): void;
  cut(reason: SlowReason): void;
}

/** After shedding, the fill level to fall back to, as a fraction of `totalLimit`. */
const fillLevel = 15 / 16;

/** What waits to go out of this process: one timer and one sum for all connections. */
export class Backpressure {
  readonly sizes = new FrameSizes();
  /** Connections with frames that had not left when it was last looked. */
  readonly #watched = new Set<OutboundBacklog>();
  #unflushed: OutboundBacklog[] = [];
  #queued = 0;
  #isLooking = false;

  /** @param closeTimeout how long a closed client may take to answer, in milliseconds */
  constructor(
    readonly settings: OutboundSettings,
    private readonly closeTimeout: number,
    private readonly clock: Clock,
    private readonly counters: Counters,
    private readonly logger: Logger,
  ) {}

  /** For how long frames wait; no time of day. */
  now(): number {
    return this.clock.elapsed();
  }

  afterClose(work: () => void): void {
    this.clock.after(this.closeTimeout, work);
  }

  /** Everything that is sent in one tick, to any client, is written at its end. */
  flushLater(backlog: OutboundBacklog): void {
    if (this.#unflushed.length === 0) process.nextTick(() => this.#flush());
    this.#unflushed.push(backlog);
  }

  watch(backlog: OutboundBacklog): void {
    this.#watched.add(backlog);
    if (this.#isLooking) return;
    this.#isLooking = true;
    const interval = Math.max(1, Math.min(1_000, Math.ceil(this.settings.timeLimit / 10)));
    const due = this.now() + interval;
    this.clock.after(interval, () => this.#look(this.now() - due));
  }

  forget(backlog: OutboundBacklog): void {
    this.#watched.delete(backlog);
  }

  /** @param bytes that wait for slow readers, more or less than before */
  grow(bytes: number): void {
    this.#queued += bytes;
    if (bytes > 0 && this.#queued > this.settings.totalLimit) this.#shed();
  }

  noteCut(reason: SlowReason, pending: number): void {
    this.counters.increment('signalbox.slow_readers', { reason });
    this.logger.warn('A client that reads too slowly was cut.', { reason, pending });
  }

  #flush(): void {
    const unflushed = this.#unflushed;
    this.#unflushed = [];
    for (const backlog of unflushed) backlog.flush();
  }

  /** @param late while this process stood still, it noticed nothing of what its clients read */
  #look(late: number): void {
    this.#isLooking = false;
    const { timeLimit } = this.settings;
    const tooOld = late > timeLimit / 2 ? Number.NEGATIVE_INFINITY : this.now() - timeLimit;
    for (const backlog of [...this.#watched]) {
      const { oldest } = backlog;
      if (oldest === undefined) this.#watched.delete(backlog);
      else if (oldest <= tooOld) backlog.cut('time');
    }
    this.counters.gauge('signalbox.outbound_bytes', this.#pending);
    this.#shed();
    const [still] = this.#watched;
    if (still) this.watch(still);
  }

  get #pending(): number {
    return [...this.#watched].reduce((sum, backlog) => sum + backlog.pending, 0);
  }

  /** The worst first, until there is some room: at the limit, each frame would otherwise look for the worst anew. */
  #shed(): void {
    const { totalLimit } = this.settings;
    const pending = this.#pending;
    if (pending <= totalLimit) return;
    let excess = pending - totalLimit * fillLevel;
    const worst = [...this.#watched].map((backlog) => ({ backlog, pending: backlog.pending }));
    for (const { backlog, pending } of worst.sort((one, other) => other.pending - one.pending)) {
      if (excess <= 0) return;
      backlog.cut('total');
      excess -= pending;
    }
  }
}
