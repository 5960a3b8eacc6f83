import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { RunStatement, Statement, StatementUse } from '../orm/statements.js';
import type { ChangeLogSettings } from '../settings.js';
import { codeOf } from './log-schema.js';

/** A row of the log. A transaction may have several, with one `xid`, and rows of other transactions between them. */
export interface LogRow {
  readonly id: number;
  /** The number of the transaction, as PostgreSQL writes it. */
  readonly xid: string;
  readonly entries: string;
}

export interface LogBatch {
  /** The number of the read; later reads have higher numbers. */
  readonly number: number;
  /** The rows in the order of their ids, which is the order in which transactions that wrote the same row committed. */
  readonly rows: readonly LogRow[];
  /** Whether a commit was expected for which no ring came: other processes have not heard one either. */
  readonly isExpected: boolean;
}

/**
 * Why changes were skipped. `epoch`: the log was emptied by a crash of the server, restored or made anew; `overflow`: there were too many
 * at once; `lag`: they were pruned before they were read.
 */
export type MissedReason = 'epoch' | 'overflow' | 'lag';

export interface LogReaderOptions {
  /** Runs a statement outside of any transaction, on any connection. */
  readonly read: RunStatement;
  /** Says whether this process hears of every commit of other processes. */
  readonly bell: { readonly isHeard: boolean };
  /** Makes the tables if they are gone. */
  readonly prepare: () => Promise<void>;
  readonly settings: Pick<ChangeLogSettings, 'pollInterval' | 'largestBatch' | 'largestBatchBytes'>;
  readonly logger: Logger;
  /** Called with each batch that has rows. Its errors are logged, and the batch is not passed again. */
  readonly receive: (batch: LogBatch) => void;
  /** Called when rows were skipped. The rows of later batches follow without another gap. */
  readonly missed: (reason: MissedReason) => void;
  /** Called at the start, and after each read that found another lag than before, in milliseconds. */
  readonly isBehind?: (lag: number) => void;
}

/** The row of `read_log` about its snapshot. */
interface Head {
  readonly snapshot: string;
  /** Null if `state` is empty. */
  readonly epoch: string | null;
  readonly floor: string;
  readonly floor_id: unknown;
}

/** A row of the log from the database; without its entries if the batch is too large. */
interface FoundRow {
  readonly id: unknown;
  readonly xid: string;
  readonly entries: string | null;
}

const readStatement = { name: 'read', text: 'select * from signalbox.read_log($1, $2, $3, $4, $5)' };

const headStatement = {
  text: `select pg_current_snapshot()::text as snapshot,
  (select epoch || '/' || signalbox.timeline() from signalbox.state) as epoch,
  greatest((select floor_id from signalbox.state), (select max(id) from signalbox.log), 0) as newest`,
};

/** PostgreSQL's codes for a missing schema, table or function. */
const gone: ReadonlySet<string> = new Set(['3F000', '42P01', '42883']);

/** The first and the longest wait after a failed read, in milliseconds. */
const firstRetry = 100;
const longestRetry = 5_000;

/** The delay of the second read that `expect` causes, in milliseconds. */
const firstExpected = 50;

/**
 * The intervals in milliseconds in which the log is read without rings: while rows come and shortly after the last of them, and otherwise.
 */
const busyInterval = 50;
const busyTime = 2_000;
const idleInterval = 500;

/** The longest time in milliseconds, and the most rows, for which rows stay unread that no one waits for. */
const unhurriedInterval = 1_000;
const mostUnhurried = 100;

/**
 * Reads the log of one database from its end at `start`. Every row that is committed later is either received once, in the order of commits
 * that concern the same row, or reported by `missed`.
 *
 * One read runs at a time. It asks for the rows that its snapshot sees and the previous snapshot did not (see `Position`). So open
 * transactions and late commits neither delay the reader nor get lost.
 */
export class LogReader {
  #position = Position.of('1:1:', 0);
  #epoch: string | null = null;
  #number = 0;
  #isStarted = false;
  /** Settled by the read that begins in the next turn of the event loop, or after the running one. */
  #next: PromiseWithResolvers<number> | undefined;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Fires the read for rows that no one waits for. */
  #unhurried: NodeJS.Timeout | undefined;
  /** The ids of rows that `receive` does not need. */
  readonly #unwanted = new Set<number>();
  /** The progress of the running read. */
  readonly #use: StatementUse = { connectedAt: undefined };
  /** The lag that was reported last. */
  #toldLag: number | undefined;
  /** When the first of the reads began that have failed since the last complete one, by `performance.now()`. */
  #failingSince: number | undefined;
  #retryAfter = firstRetry;
  /** When `expect` was called last, by `performance.now()`. */
  #expectedSince = Number.NEGATIVE_INFINITY;
  /** When rows were found last, by `performance.now()`. */
  #foundAt = Number.NEGATIVE_INFINITY;
  #failedReceivers = 0;

  constructor(private readonly options: LogReaderOptions) {}

  /** The number of the last complete read. */
  get batch(): number {
    return this.#number;
  }

  /**
   * For how many milliseconds the reader has been behind the database: since the first of the failed reads began, or since the running read
   * got its connection. 0 if no read is due. The wait for a connection does not count: on PGlite, and with a pool of one, the read waits
   * for the action that has it.
   */
  get lag(): number {
    const since = this.#failingSince ?? this.#use.connectedAt;
    return since === undefined ? 0 : performance.now() - since;
  }

  /** The number of batches on which `receive` threw. */
  get failedReceivers(): number {
    return this.#failedReceivers;
  }

  /**
   * Takes its position at the end of the log.
   *
   * @throws what the database throws
   */
  async start(): Promise<void> {
    await this.#goToHead();
    this.#tellLag(0);
    this.#isStarted = true;
    this.#poll();
  }

  /** Reads in the next turn of the event loop, or after the running read, because something was committed. */
  ring(): void {
    if (this.#isStarted) this.#demand().catch(() => {});
  }

  /**
   * Notes committed rows that no one waits for. They are read with the next read, at the latest after a second, so that the position
   * follows the log; `receive` does not get them.
   */
  pass(ids: readonly number[]): void {
    for (const id of ids) this.#unwanted.add(id);
    if (this.#unwanted.size >= mostUnhurried) this.ring();
    else if (!this.#unhurried && this.#isStarted)
      this.#unhurried = runDetached(() => setTimeout(() => this.ring(), unhurriedInterval).unref());
  }

  /**
   * Reads at once, because something will be committed without a ring; then after 50 ms, and in intervals as long as the time since the
   * call, until they reach `pollInterval`.
   */
  expect(): void {
    this.#expectedSince = performance.now();
    this.ring();
  }

  /**
   * Runs a read that begins after this call. Calls of one turn of the event loop share it.
   *
   * @returns the batch number, after its rows were received
   * @throws what the database throws; the reader itself goes on
   */
  read(): Promise<number> {
    return this.#isStarted ? this.#demand() : Promise.reject(new Error('The reader of the change log is not running.'));
  }

  /** Waits for the running read, and rejects those that have not begun. `start` begins again at the end of the log. */
  async stop(): Promise<void> {
    this.#isStarted = false;
    clearTimeout(this.#timer);
    this.#hurry();
    this.#unwanted.clear();
    this.#next?.reject(new Error('The reader of the change log was stopped.'));
    this.#next = undefined;
    await this.#running;
  }

  #demand(): Promise<number> {
    if (this.#next) return this.#next.promise;
    this.#next = Promise.withResolvers();
    // Rings do not await it, and a failed read is logged.
    this.#next.promise.catch(() => {});
    if (!this.#running) this.#beginSoon();
    return this.#next.promise;
  }

  /** Begins outside of the request that rings: otherwise the reader would read in that request's transaction. */
  #beginSoon(): void {
    runDetached(() => setImmediate(() => this.#begin()));
  }

  #begin(): void {
    const demand = this.#next;
    if (!demand || this.#running) return;
    this.#next = undefined;
    clearTimeout(this.#timer);
    this.#hurry();
    this.#running = this.#attempt(demand).finally(() => {
      this.#running = undefined;
      if (this.#next) this.#beginSoon();
    });
  }

  #hurry(): void {
    clearTimeout(this.#unhurried);
    this.#unhurried = undefined;
  }

  async #attempt({ resolve, reject }: PromiseWithResolvers<number>): Promise<void> {
    const began = performance.now();
    try {
      const told = await this.#read();
      this.#noteSuccess();
      this.#poll();
      if (told) this.#tell(told);
      resolve(this.#number);
    } catch (error) {
      this.#noteFailure(error, began);
      this.#readAfter(this.#retryAfter);
      this.#retryAfter = Math.min(this.#retryAfter * 2, longestRetry);
      reject(error);
    }
  }

  #poll(): void {
    const waited = Math.max(performance.now() - this.#expectedSince, firstExpected);
    this.#readAfter(Math.min(waited, this.#interval));
  }

  get #interval(): number {
    const { settings, bell } = this.options;
    if (bell.isHeard) return settings.pollInterval;
    const isBusy = performance.now() - this.#foundAt < busyTime;
    return Math.min(isBusy ? busyInterval : idleInterval, settings.pollInterval);
  }

  #readAfter(milliseconds: number): void {
    clearTimeout(this.#timer);
    if (!this.#isStarted) return;
    runDetached(() => {
      this.#timer = setTimeout(() => this.ring(), milliseconds).unref();
    });
  }

  #noteFailure(error: unknown, began: number): void {
    if (this.#failingSince === undefined)
      this.options.logger.warn('The change log cannot be read. The reader tries again and goes on from where it is.', {
        error,
      });
    this.#failingSince ??= began;
    this.#tellLag(this.lag);
  }

  #noteSuccess(): void {
    if (this.#failingSince !== undefined)
      this.options.logger.info('The change log is read again.', { after: Math.round(this.lag) });
    this.#failingSince = undefined;
    this.#retryAfter = firstRetry;
    this.#tellLag(0);
  }

  #tellLag(lag: number): void {
    if (lag === this.#toldLag) return;
    this.#toldLag = lag;
    this.options.isBehind?.(lag);
  }

  /** @returns what to report after the position has moved: a receiver that throws on rows does not get them again */
  async #read(): Promise<LogBatch | MissedReason | undefined> {
    // These rows were committed before this read, which sees them.
    const passed = [...this.#unwanted];
    // After an outage, another server may answer.
    if (this.#failingSince !== undefined) await this.options.prepare();
    const found = await this.#unseen();
    if (!found || found.head.epoch !== this.#epoch) return this.#passOver('epoch');
    const { head, rows } = found;
    if (this.#position.isBefore(Position.of(head.floor, Number(head.floor_id)))) return this.#passOver('lag');
    const { largestBatch, pollInterval } = this.options.settings;
    const batch = completeRows(rows);
    if (!batch || rows.length > largestBatch) return this.#passOver('overflow');
    const newest = Math.max(this.#position.newest, batch.at(-1)?.id ?? 0);
    this.#position = Position.of(head.snapshot, newest);
    this.#number += 1;
    const wanted = batch.filter(({ id }) => !this.#unwanted.has(id));
    for (const id of passed) this.#unwanted.delete(id);
    if (wanted.length === 0) return undefined;
    const now = performance.now();
    this.#foundAt = now;
    return { number: this.#number, rows: wanted, isExpected: now - this.#expectedSince < pollInterval };
  }

  /** The unseen rows; undefined if the tables were missing, which are then made again. */
  async #unseen(): Promise<{ readonly head: Head; readonly rows: readonly FoundRow[] } | undefined> {
    const { largestBatch, largestBatchBytes } = this.options.settings;
    const { end, open, newest } = this.#position;
    const parameters = [String(end), `{${open.join(',')}}`, newest, largestBatch + 1, largestBatchBytes];
    try {
      const [head, ...rows] = await this.#run<Head & FoundRow>(readStatement, parameters);
      if (!head) throw new Error('read_log returned nothing.');
      return { head, rows };
    } catch (error) {
      if (!gone.has(codeOf(error))) throw error;
      await this.options.prepare();
      return undefined;
    }
  }

  async #passOver(reason: MissedReason): Promise<MissedReason> {
    await this.#goToHead();
    this.#number += 1;
    this.options.logger.warn('The reader of the change log has skipped changes.', { reason });
    return reason;
  }

  async #goToHead(): Promise<void> {
    let head = await this.#head().catch((error: unknown) => {
      if (!gone.has(codeOf(error))) throw error;
      return undefined;
    });
    if (!head || head.epoch === null) {
      await this.options.prepare();
      head = await this.#head();
    }
    this.#epoch = head.epoch;
    this.#unwanted.clear();
    this.#position = Position.of(head.snapshot, Number(head.newest));
  }

  async #head(): Promise<{ readonly snapshot: string; readonly epoch: string | null; readonly newest: unknown }> {
    const [head] = await this.#run<{ snapshot: string; epoch: string | null; newest: unknown }>(headStatement, []);
    if (!head) throw new Error('The database does not say where the log ends.');
    return head;
  }

  async #run<Row>(statement: Statement, parameters: readonly unknown[]): Promise<readonly Row[]> {
    try {
      return await this.options.read<Row>(statement, parameters, this.#use);
    } finally {
      this.#use.connectedAt = undefined;
    }
  }

  #tell(told: LogBatch | MissedReason): void {
    try {
      if (typeof told === 'string') this.options.missed(told);
      else this.options.receive(told);
    } catch (error) {
      this.#failedReceivers += 1;
      this.options.logger.error('A receiver of the change log failed.', { error, batch: this.#number });
    }
  }
}

/** The rows; undefined if one came without its entries, because the batch had too many bytes. */
function completeRows(rows: readonly FoundRow[]): readonly LogRow[] | undefined {
  const complete: LogRow[] = [];
  for (const { id, xid, entries } of rows) {
    if (entries === null) return undefined;
    complete.push({ id: Number(id), xid, entries });
  }
  return complete;
}

/**
 * How far a reader has read the log: what one snapshot of the database saw. Numbers alone are not enough. A transaction takes its number
 * before it commits, so a reader that has seen number 7 may have to read number 5 later.
 *
 * A row of the log is seen if the snapshot sees its transaction and its id is not above `newest`. The second condition matters after a
 * crash of the server: the server reuses the numbers of transactions that left no trace, but never the id of a committed row.
 */
export class Position {
  private constructor(
    /** The snapshot sees neither this transaction nor later ones. */
    readonly end: bigint,
    /** Earlier transactions that had not ended yet. */
    readonly open: readonly bigint[],
    /** The highest id among the rows that the snapshot saw and the rows that were pruned before. */
    readonly newest: number,
  ) {}

  /** @param snapshot the text of a `pg_snapshot`: `xmin:xmax:xip,xip,…` */
  static of(snapshot: string, newest: number): Position {
    const [, end = '', open = ''] = snapshot.split(':');
    return new Position(BigInt(end), open === '' ? [] : open.split(',').map(BigInt), newest);
  }

  /** This position, with rows up to another id known to be seen. */
  upTo(newest: number): Position {
    return new Position(this.end, this.open, newest);
  }

  /** Whether the other position has seen rows that this one has not. */
  isBefore(other: Position): boolean {
    return other.newest > this.newest || other.end > this.end || this.open.some((xid) => other.#sees(xid));
  }

  #sees(xid: bigint): boolean {
    return xid < this.end && !this.open.includes(xid);
  }
}
