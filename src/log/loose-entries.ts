import { randomUUID } from 'node:crypto';
import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { Entry, LoggedCommand } from './entry.js';

/** An entry that is written to the log outside of any transaction. */
export interface LooseEntry extends Pick<Entry, 'rechecks' | 'signals'> {
  readonly commands?: readonly LoggedCommand[];
}

/** The first and the longest wait before a failed attempt is repeated, in milliseconds. */
const firstRetry = 100;
const longestRetry = 5_000;

/**
 * Entries of the log that are no part of a transaction, for example commands such as the end of a user's connections. All that wait are
 * written at once, in the order in which they were added, and stay here until the database has taken them. If the database's answer is
 * lost, they are written twice; readers recognize them by their ids.
 */
export class LooseEntries {
  #waiting: { readonly text: string; readonly tried: () => void }[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #retryAfter = firstRetry;

  /**
   * @param write writes entries in one statement, in their order; rejects if none was written
   * @param most how many may wait
   */
  constructor(
    private readonly write: (entries: readonly string[]) => Promise<void>,
    private readonly logger: () => Logger,
    private readonly most = 10_000,
  ) {}

  /** Resolves when the log has the entry, or when it cannot be written yet and is kept. Rejects if too many wait already. */
  add({ commands: orders, ...entry }: LooseEntry): Promise<void> {
    if (this.#waiting.length >= this.most)
      return Promise.reject(
        new Error(
          `${this.most} connection commands and rechecks wait for the database already: other processes will not receive this one.`,
        ),
      );
    const { promise, resolve } = Promise.withResolvers<void>();
    const text: Entry = { v: 1, id: randomUUID(), rows: [], after: [], ...(orders && { orders }), ...entry };
    this.#waiting.push({ text: JSON.stringify(text), tried: resolve });
    if (!this.#timer) this.#begin();
    return promise;
  }

  /** Tries once more to write the waiting entries; those that still cannot be written are lost, and logged. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    if (this.#waiting.length === 0) return;
    await this.#attempt();
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length > 0)
      this.logger().error(
        'Commands, rechecks and signals for other processes could not be written to the change log before it stopped.',
        {
          count: this.#waiting.length,
        },
      );
    this.#waiting = [];
  }

  #begin(): void {
    this.#writing ??= runDetached(() => this.#attempt()).finally(() => {
      this.#writing = undefined;
      if (this.#waiting.length > 0 && !this.#timer) this.#begin();
    });
  }

  async #attempt(): Promise<void> {
    const entries = this.#waiting;
    this.#waiting = [];
    try {
      await this.write(entries.map(({ text }) => text));
      this.#retryAfter = firstRetry;
    } catch (error) {
      this.#waiting = [...entries, ...this.#waiting];
      this.#tryAgain(error);
    }
    for (const { tried } of entries) tried();
  }

  #tryAgain(error: unknown): void {
    if (this.#retryAfter === firstRetry)
      this.logger().warn(
        'Commands, rechecks and signals for other processes cannot be written to the change log. They are kept, and tried again.',
        {
          error,
        },
      );
    runDetached(() => {
      this.#timer = setTimeout(() => this.#retry(), this.#retryAfter).unref();
    });
    this.#retryAfter = Math.min(this.#retryAfter * 2, longestRetry);
  }

  #retry(): void {
    this.#timer = undefined;
    this.#begin();
  }
}
