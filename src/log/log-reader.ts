import { runDetached } from '../async-context.js';
import type { Logger } from '../logger.js';
import type { ChangeLogSettings } from '../settings.js';

export interface LogRow {
  readonly id: number;
  readonly xid: string;
  readonly entries: string;
}
export interface LogBatch {
  readonly number: number;
  readonly rows: readonly LogRow[];
}
export class LogReader {
  batch = 0;
  lag = 0;
  #xmax = '0';
  #xip = '{}';
  #m = '0';
  #next: Promise<number> | undefined;
  #running: Promise<unknown> = Promise.resolve();
  constructor(
    private readonly o: {
      read: <Row>(statement: { text: string }, parameters: readonly unknown[]) => Promise<readonly Row[]>;
      settings: ChangeLogSettings;
      logger: Logger;
      receive(batch: LogBatch): void;
      missed(reason: string): void;
    },
  ) {}
  async start(): Promise<void> {
    const [row] = await this.o.read<{ s: string; m: string }>(
      { text: 'select pg_current_snapshot()::text as s, coalesce(max(id), 0)::text as m from signalbox.log' },
      [],
    );
    this.#move(row?.s ?? '', row?.m ?? '0');
  }
  #move(s: string, m: string): void {
    const [, xmax = '0', xip = ''] = s.split(':');
    this.#xmax = xmax;
    this.#xip = `{${xip}}`;
    if (BigInt(m) > BigInt(this.#m)) this.#m = m;
  }
  ring(): void {
    void this.read().catch(() => {});
  }
  expect(): void {
    this.ring();
    setTimeout(() => this.ring(), 50);
  }
  read(): Promise<number> {
    this.#next ??= runDetached(async () => {
      await this.#running;
      await new Promise((resolve) => setImmediate(resolve));
      this.#next = undefined;
      const running = this.#read();
      this.#running = running.catch(() => {});
      return running;
    });
    return this.#next;
  }
  async #read(): Promise<number> {
    const rows = await this.o.read<{ s: string; id: string | null; xid: string; entries: string }>(
      {
        text: 'select pg_current_snapshot()::text as s, l.id::text as id, l.xid::text as xid, l.entries from (select 1) one left join signalbox.log l on l.xid >= $1::text::xid8 or l.xid = any ($2::text::xid8[]) or l.id > $3::text::bigint order by l.id',
      },
      [this.#xmax, this.#xip, this.#m],
    );
    const found = rows.filter(({ id }) => id !== null);
    this.#move(rows[0]?.s ?? '', found.at(-1)?.id ?? '0');
    this.batch += 1;
    if (found.length > 0)
      this.o.receive({
        number: this.batch,
        rows: found.map(({ id, xid, entries }) => ({ id: Number(id), xid, entries })),
      });
    return this.batch;
  }
  async stop(): Promise<void> {
    await this.#running;
  }
}
