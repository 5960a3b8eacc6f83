import { randomUUID } from 'node:crypto';
import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { Notifications } from './notifications.js';

export const doorbellChannel = 'signalbox_log';

/** What a ring is for: rows of the log, or that applications observe more than before. */
export type Ring = 'log' | 'observed';

/** How long a ring that failed waits to be tried again at first, and at most, in milliseconds. */
const firstRetry = 100;
const longestRetry = 5_000;

export interface DoorbellOptions {
  /** Whether this process hears the rings of others. */
  readonly listens: boolean;
  readonly logger: Logger;
  /** Another process has rung, or may have while nothing could be heard. */
  readonly rung: (ring: Ring) => void;
}

/** What a process says when it begins to listen. The others answer, so that each knows whether it is alone. */
const hello = 'hello';

/**
 * Tells the other processes of a database that there is something to read. It is rung outside of transactions, since a NOTIFY in one
 * makes all commits wait for each other, and bears no data: a ring that is lost costs the time until the next poll, and no event.
 *
 * A process that listens and has never heard another one is alone, and does not ring. When it hears the first, it rings for all
 * that it has not rung for.
 */
export class Doorbell {
  readonly #notifications: Notifications;
  readonly #options: DoorbellOptions;
  /** Stands behind what it sends. Which connection sent it does not tell: while it cannot listen, it rings through the pool. */
  readonly #id = randomUUID();
  readonly #waiting = new Set<Ring | typeof hello>();
  #ringing: Promise<void> | undefined;
  #leave: (() => Promise<void>) | undefined;
  /** Unknown until the first attempt to listen has an outcome. */
  #hearing: 'unknown' | 'up' | 'down' = 'unknown';
  #isAlone = true;
  #retryAfter = firstRetry;
  #timer: NodeJS.Timeout | undefined;

  constructor(notifications: Notifications, options: DoorbellOptions) {
    this.#notifications = notifications;
    this.#options = options;
  }

  /** Whether whatever is committed will be heard of. On a database of one connection, all of it is this process' own. */
  get isHeard(): boolean {
    return this.#options.listens && this.#hearing !== 'down';
  }

  start(): void {
    if (!this.#options.listens) return;
    this.#leave = this.#notifications.listen(doorbellChannel, {
      heard: (payload) => {
        const [ring = '', id] = payload.split(' ');
        if (id !== this.#id) this.#hear(ring);
      },
      up: () => this.#up(),
      down: (error) => this.#down(error),
    });
  }

  /** Rings that wait are tried once more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#ringing;
    if (this.#waiting.size > 0) await this.#ringNow();
    clearTimeout(this.#timer);
    await this.#leave?.();
    this.#leave = undefined;
  }

  /** One statement is under way at a time; what comes meanwhile is the next. */
  ring(ring: Ring = 'log'): void {
    if (this.#hearing !== 'up' || !this.#isAlone) this.#send(ring);
  }

  #send(ring: Ring | typeof hello): void {
    this.#waiting.add(ring);
    if (this.#ringing || this.#timer) return;
    this.#ringing = runDetached(() => this.#ringNow());
  }

  async #ringNow(): Promise<void> {
    const rings = [...this.#waiting];
    this.#waiting.clear();
    try {
      const payloads = rings.map((ring) => `${ring} ${this.#id}`);
      await this.#notifications.notify(doorbellChannel, payloads);
      this.#retryAfter = firstRetry;
    } catch {
      // Processes that listen poll seldom, so the ring is tried again. The line of the reader says that the database is away.
      for (const ring of rings) this.#waiting.add(ring);
      this.#timer = setTimeout(() => this.#retry(), this.#retryAfter).unref();
      this.#retryAfter = Math.min(this.#retryAfter * 2, longestRetry);
    }
    this.#ringing = undefined;
    if (this.#waiting.size > 0 && !this.#timer) this.#ringing = this.#ringNow();
  }

  #retry(): void {
    this.#timer = undefined;
    this.#ringing = runDetached(() => this.#ringNow());
  }

  #hear(payload: string): void {
    const wasAlone = this.#isAlone;
    this.#isAlone = false;
    if (wasAlone) this.#send('observed');
    if (wasAlone || payload === hello) this.#send('log');
    if (payload !== hello) this.#options.rung(payload === 'observed' ? 'observed' : 'log');
  }

  #up(): void {
    if (this.#hearing === 'down') this.#options.logger.info('Commits of other processes are heard of again.');
    this.#hearing = 'up';
    this.#send(hello);
    this.#options.rung('observed');
    this.#options.rung('log');
  }

  #down(error: unknown): void {
    if (this.#hearing !== 'down')
      this.#options.logger.warn('Commits of other processes are not heard of, and are polled for meanwhile.', {
        error,
      });
    this.#hearing = 'down';
  }
}
