import { randomUUID } from 'node:crypto';
import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { Notifications } from './notifications.js';

export const doorbellChannel = 'signalbox_log';

/** The reason for a ring: there are new rows in the log, or applications observe more than before. */
export type Ring = 'log' | 'observed';

/** The first and the longest wait before a failed ring is repeated, in milliseconds. */
const firstRetry = 100;
const longestRetry = 5_000;

export interface DoorbellOptions {
  /** Whether this process receives the rings of others. */
  readonly listens: boolean;
  readonly logger: Logger;
  /** Called when another process has rung, or may have rung while this one was not listening. */
  readonly rung: (ring: Ring) => void;
}

/** The first message of a process that begins to listen. The others answer it, so that each knows whether it is alone. */
const hello = 'hello';

/**
 * Wakes the other processes of a database when there is something to read. It rings outside of transactions, because a NOTIFY in a
 * transaction would make all commits wait for each other, and it carries no data: a lost ring delays events until the next poll, and loses
 * none.
 *
 * A process that listens and has never received a ring is alone, and holds its rings back. It sends them when it receives the first ring, and
 * when it ends: another process may be there whose answer has not arrived yet.
 */
export class Doorbell {
  /**
   * Identifies this process at the end of what it sends. The connection cannot identify it: while the process cannot listen, it rings
   * through the pool.
   */
  readonly #id = randomUUID();
  readonly #waiting = new Set<Ring | typeof hello>();
  readonly #heldBack = new Set<Ring>();
  #ringing: Promise<void> | undefined;
  #leave: (() => Promise<void>) | undefined;
  /** Unknown until the first attempt to listen has succeeded or failed. */
  #hearing: 'unknown' | 'up' | 'down' = 'unknown';
  #isAlone = true;
  #retryAfter = firstRetry;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly notifications: Notifications,
    private readonly options: DoorbellOptions,
  ) {}

  /** Whether this process is notified of every commit. On a database of one connection, all commits are its own. */
  get isHeard(): boolean {
    return this.options.listens && this.#hearing !== 'down';
  }

  start(): void {
    if (!this.options.listens) return;
    this.#leave = this.notifications.listen(doorbellChannel, {
      heard: (payload) => {
        const [ring = '', id] = payload.split(' ');
        if (id !== this.#id) this.#hear(ring);
      },
      up: () => this.#up(),
      down: (error) => this.#down(error),
    });
  }

  /** Sends the rings that were held back, and tries the waiting ones once more. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#ringing;
    for (const ring of this.#heldBack) this.#waiting.add(ring);
    if (this.#waiting.size > 0) await this.#ringNow();
    clearTimeout(this.#timer);
    await this.#leave?.();
    this.#leave = undefined;
  }

  /** Sends one statement at a time; rings that come meanwhile go with the next one. */
  ring(ring: Ring = 'log'): void {
    if (this.#hearing === 'up' && this.#isAlone) this.#heldBack.add(ring);
    else this.#send(ring);
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
      await this.notifications.notify(doorbellChannel, payloads);
      this.#retryAfter = firstRetry;
    } catch {
      // Processes that listen poll rarely, so the ring is tried again. The reader logs that the database cannot be reached.
      for (const ring of rings) this.#waiting.add(ring);
      runDetached(() => {
        this.#timer = setTimeout(() => this.#retry(), this.#retryAfter).unref();
      });
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
    this.#heldBack.clear();
    if (wasAlone) this.#send('observed');
    if (wasAlone || payload === hello) this.#send('log');
    if (payload !== hello) this.options.rung(payload === 'observed' ? 'observed' : 'log');
  }

  #up(): void {
    if (this.#hearing === 'down')
      this.options.logger.info('This process hears of the commits of other processes again.');
    this.#hearing = 'up';
    this.#send(hello);
    this.options.rung('observed');
    this.options.rung('log');
  }

  #down(error: unknown): void {
    if (this.#hearing !== 'down')
      this.options.logger.warn(
        'This process does not hear of the commits of other processes, and polls for them meanwhile.',
        {
          error,
        },
      );
    this.#hearing = 'down';
  }
}
