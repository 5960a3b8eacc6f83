import { runDetached } from '../async-context.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';
import type { OutboundSettings } from '../settings.js';
import type { Counters } from '../telemetry.js';
import { FrameSizes } from './outbound-queue.js';

/** The limit that a slow reader exceeded. */
export type SlowReason = 'time' | 'size' | 'total';

/** Frames that one connection has sent and its client has not read. */
export interface OutboundBacklog {
  /** Bytes that wait. */
  readonly pending: number;
  /** When the oldest waiting frame was sent, in milliseconds; undefined if none waits. */
  readonly oldest: number | undefined;
  /** Writes the frames of this turn of the event loop. */
  flush(): void;
  cut(reason: SlowReason): void;
}

/** After shedding, the fill level to fall back to, as a fraction of `totalLimit`. */
const fillLevel = 15 / 16;

/** Data that wait to leave this process: one timer and one sum for all connections. */
export class Backpressure {
  readonly sizes = new FrameSizes();
  /** Connections that had waiting frames at the last check. */
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

  /** A time for measuring how long frames wait; no time of day. */
  now(): number {
    return this.clock.elapsed();
  }

  afterClose(work: () => void): void {
    this.clock.after(this.closeTimeout, work);
  }

  /** Writes everything that is sent in one turn of the event loop at the turn's end. */
  flushLater(backlog: OutboundBacklog): void {
    // The writes keep the async context in which they begin until they end, and they serve all connections.
    if (this.#unflushed.length === 0) runDetached(() => process.nextTick(() => this.#flush()));
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

  /** @param bytes that wait for slow readers, more or fewer than before */
  grow(bytes: number): void {
    this.#queued += bytes;
    if (bytes > 0 && this.#queued > this.settings.totalLimit) this.#shed();
  }

  noteCut(reason: SlowReason, pending: number): void {
    this.counters.increment('signalbox.slow_readers', { reason });
    // The running request or delivery may be that of another connection.
    runDetached(() => this.logger.warn('A client that reads too slowly was disconnected.', { reason, pending }));
  }

  #flush(): void {
    const unflushed = this.#unflushed;
    this.#unflushed = [];
    for (const backlog of unflushed) backlog.flush();
  }

  /** @param late milliseconds in which this process stood still, and did not notice what its clients read */
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

  /**
   * Closes the worst connections until there is some room: otherwise, at the limit, each frame would search for the worst connection again.
   */
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
