import type { EntityManager } from '@mikro-orm/core';
import { runDetached } from '../async-context.js';
import { longestDelay } from '../clock.js';
import type { Logger } from '../logger.js';
import { lockTimeout } from '../orm/orm-errors.js';
import type { StatementConnection } from '../orm/sql-connection.js';
import { runStatement, writeConnection } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { codeOf, lockOfPruning, slots } from './log-schema.js';

/** Milliseconds until the first look, and until the next one if a slot could not be emptied. */
const retryInterval = 60_000;

/** PostgreSQL's codes for missing tables. */
const gone: ReadonlySet<string> = new Set(['3F000', '42P01']);

/** Rows that the mark of one slot's width ago did not see: a reader at most one slot late may not have read them either. */
const unseenByMark = `(l.xid >= pg_snapshot_xmax(s.mark) or l.xid = any (array(select pg_snapshot_xip(s.mark))))`;

/**
 * Empties the old slots of the log one after the other. No statement waits for it for longer than 200 ms: it leaves a slot that an open
 * transaction has written to, or that a dump reads, for the next look.
 *
 * A slot is emptied if its newest row is older than six slots, and if all of its rows were visible one slot's width ago (`mark`). The
 * second condition concerns transactions that stayed open for long: their rows are old when they become visible. Emptying a slot moves the
 * floor in the same transaction, which tells a later reader that it has missed rows.
 */
export class Retention {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<unknown> = Promise.resolve();
  #isStarted = false;
  #failures = 0;

  constructor(
    private readonly em: EntityManager,
    private readonly settings: Pick<ChangeLogSettings, 'slotMinutes'>,
    private readonly logger: Logger,
    /** Called for each failed attempt. */
    private readonly failed: () => void = () => {},
    private readonly retryAfter = retryInterval,
  ) {}

  start(): void {
    this.#isStarted = true;
    this.#lookAfter(this.retryAfter);
  }

  /** Waits for the running look. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    await this.#running;
  }

  /**
   * Empties the old slots, unless another process does. Returns the slots that were emptied.
   *
   * @throws what the database throws, except that a slot was in use
   */
  async prune(): Promise<readonly number[]> {
    const emptied: number[] = [];
    let isInUse = false;
    for (const slot of slots) {
      try {
        if (await this.#transact((transaction) => this.#empty(transaction, slot))) emptied.push(slot);
      } catch (error) {
        // The reader makes missing tables.
        if (gone.has(codeOf(error))) return [];
        if (codeOf(error) !== lockTimeout) throw error;
        isInUse = true;
      }
    }
    if (isInUse) this.#noteFailure('A slot is in use by an open transaction, or by a dump.');
    else await this.#transact((transaction) => this.#mark(transaction));
    return emptied;
  }

  async #empty(transaction: StatementConnection, slot: number): Promise<boolean> {
    if (!(await this.#isDue(transaction, slot))) return false;
    const [lock] = await run<{ isMine: boolean }>(transaction, `select ${lockOfPruning} as "isMine"`);
    if (!lock?.isMine) return false;
    await run(transaction, `lock table signalbox.log_${slot} in access exclusive mode`);
    // A transaction may have written to the slot, and ended, while this one waited.
    if (!(await this.#isDue(transaction, slot))) return false;
    await run(
      transaction,
      `update signalbox.state set floor = mark,
  floor_id = greatest(floor_id, (select max(id) from signalbox.log where slot = ${slot}))`,
    );
    await run(transaction, `truncate signalbox.log_${slot}`);
    return true;
  }

  async #isDue(transaction: StatementConnection, slot: number): Promise<boolean> {
    const text = `select (select at from signalbox.log where slot = ${slot} order by id desc limit 1)
    < clock_timestamp() - ${this.#slotsAgo(slots.length - 2)}
  and s.marked_at <= clock_timestamp() - ${this.#slotsAgo(1)}
  and not exists (select from signalbox.log l where l.slot = ${slot} and ${unseenByMark}) as "isDue"
from signalbox.state s`;
    const [found] = await run<{ isDue: boolean | null }>(transaction, text);
    return found?.isDue === true;
  }

  async #mark(transaction: StatementConnection): Promise<void> {
    await run(
      transaction,
      `update signalbox.state set mark = pg_current_snapshot(), marked_at = clock_timestamp()
where marked_at <= clock_timestamp() - ${this.#slotsAgo(1)}`,
    );
  }

  #slotsAgo(count: number): string {
    return `interval '${this.settings.slotMinutes * count} minutes'`;
  }

  /** Switches the just-in-time compiler off, which a server without statistics of the tables would start needlessly. */
  #transact<T>(work: (transaction: StatementConnection) => Promise<T>): Promise<T> {
    return writeConnection(this.em).transactional(async (transaction) => {
      await run(transaction, `select set_config('lock_timeout', '200ms', true), set_config('jit', 'off', true)`);
      return work(transaction);
    });
  }

  #lookAfter(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#isStarted) return;
    runDetached(() => {
      const timer = setTimeout(() => this.#look(), Math.min(milliseconds, longestDelay));
      this.#timer = timer.unref();
    });
  }

  #look(): void {
    const failures = this.#failures;
    this.#running = this.prune()
      .catch((error: unknown) => this.#noteFailure('The database failed.', error))
      .then(() => {
        const hasFailed = this.#failures > failures;
        if (!hasFailed) this.#failures = 0;
        this.#lookAfter(hasFailed ? this.retryAfter : this.settings.slotMinutes * 60_000);
      });
  }

  /** Logs a warning if failures go on for longer than a slot, and then once per slot, because the log grows meanwhile. */
  #noteFailure(reason: string, error?: unknown): void {
    this.#failures += 1;
    this.failed();
    if (this.#failures % this.settings.slotMinutes !== 0) return;
    this.logger.warn('The change log cannot be pruned, and grows.', {
      reason,
      attempts: this.#failures,
      ...(error !== undefined && { error }),
    });
  }
}

function run<Row>(transaction: StatementConnection, text: string): Promise<readonly Row[]> {
  return runStatement<Row>(transaction, { text }, []);
}
