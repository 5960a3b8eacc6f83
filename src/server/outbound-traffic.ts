import type { Clock } from '../clock.js';
import type { Counters } from '../counters.js';
import type { Logger } from '../logger.js';
import type { OutboundSettings } from '../server-settings.js';
import { FrameSizes } from './frame-sizes.js';

/** Which limit a slow reader broke. */
export type SlowReason = 'time' | 'size' | 'total';

/** What one connection has sent and its client has not read. */
export interface Backlog {
  /** In bytes. */
  readonly pending: number;
  /** Since when the oldest frame waits, in milliseconds; undefined where none does. */
  readonly oldest: number | undefined;
  uncork(): void;
  cut(reason: SlowReason): void;
}

/** This part of the limit is kept where there was more. */
const room = 15 / 16;

export interface TrafficParts {
  readonly settings: OutboundSettings;
  /** How long a client that is closed may take to say goodbye. */
  readonly closeTimeout: number;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** What waits to go out of this process: one timer and one sum for all connections. */
export class OutboundTraffic {
  readonly sizes = new FrameSizes();
  readonly #parts: TrafficParts;
  /** Connections with frames that had not left when it was last looked. */
  readonly #watched = new Set<Backlog>();
  #corked: Backlog[] = [];
  #queued = 0;
  #isLooking = false;

  constructor(parts: TrafficParts) {
    this.#parts = parts;
  }

  get settings(): OutboundSettings {
    return this.#parts.settings;
  }

  /** For how long frames wait; no time of day. */
  now(): number {
    return this.#parts.clock.elapsed();
  }

  later(work: () => void): void {
    this.#parts.clock.after(this.#parts.closeTimeout, work);
  }

  /** All that is sent in one tick, to whomever, is written at its end. */
  uncorkLater(backlog: Backlog): void {
    if (this.#corked.length === 0) process.nextTick(() => this.#uncork());
    this.#corked.push(backlog);
  }

  watch(backlog: Backlog): void {
    this.#watched.add(backlog);
    if (this.#isLooking) return;
    this.#isLooking = true;
    const interval = Math.max(1, Math.min(1_000, Math.ceil(this.settings.timeLimit / 10)));
    const due = this.now() + interval;
    this.#parts.clock.after(interval, () => this.#look(this.now() - due));
  }

  forget(backlog: Backlog): void {
    this.#watched.delete(backlog);
  }

  /** @param bytes that wait for slow readers, more or less */
  grow(bytes: number): void {
    this.#queued += bytes;
    if (bytes > 0 && this.#queued > this.settings.totalLimit) this.#shed();
  }

  noteCut(reason: SlowReason, pending: number): void {
    const { counters, logger } = this.#parts;
    counters.increment('signalbox.slow_readers', { reason });
    logger.warn('A client that reads too slowly was cut.', { reason, pending });
  }

  #uncork(): void {
    const corked = this.#corked;
    this.#corked = [];
    for (const backlog of corked) backlog.uncork();
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
    this.#parts.counters.gauge('signalbox.outbound_bytes', this.#pending);
    this.#shed();
    const [still] = this.#watched;
    if (still) this.watch(still);
  }

  get #pending(): number {
    return [...this.#watched].reduce((sum, backlog) => sum + backlog.pending, 0);
  }

  /** The worst first, until there is some room: who is at the limit would otherwise look for the worst at each frame. */
  #shed(): void {
    const { totalLimit } = this.settings;
    const pending = this.#pending;
    if (pending <= totalLimit) return;
    let excess = pending - totalLimit * room;
    const worst = [...this.#watched].map((backlog) => ({ backlog, pending: backlog.pending }));
    for (const { backlog, pending } of worst.sort((one, other) => other.pending - one.pending)) {
      if (excess <= 0) return;
      backlog.cut('total');
      excess -= pending;
    }
  }
}
