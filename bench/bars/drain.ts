import { once } from 'node:events';
import { type Bar, type Bench, onServer, subjects, within } from './bar.js';
import type { Client } from './client.js';
import { gather } from './crowd.js';
import { shown } from './report.js';

/** So many ask one request after the other until they are told to leave; each is under way so long, in milliseconds. */
const busy = 1_000;
const duration = 300;

export const drain: Bar = {
  ids: ['B16'],
  about: `SIGTERM with everybody connected, ${busy} of them with requests under way`,
  async run(bench) {
    const { connections: size, subscriptions } = bench.options;
    await onServer(bench, 'signalbox', async (server) => {
      const clients = await gather({ port: server.port, path: subjects[0].path, size, subscriptions });
      const stays = clients.map((client, index) => new Stay(client, index < busy));
      const ended = Promise.all(stays.map((stay) => stay.ended));
      const exited = once(server.process, 'exit');
      const begun = performance.now();
      server.process.kill('SIGTERM');
      const [code] = (await within(60, 'The end of the process', exited)) as [number | null];
      const seconds = (performance.now() - begun) / 1_000;
      await within(10, 'The end of the sockets', ended);
      tell(bench, stays, { code, seconds });
    });
  },
};

/** The last time of a client with its server. */
class Stay {
  readonly ended: Promise<void>;
  /** Of the close frame, if there was one. */
  closeCode: number | undefined;
  closedAt = 0;
  /** When it was told to leave, and in how many milliseconds it may come back. */
  toldAt: number | undefined;
  retryAfter = 0;
  #asked = 0;
  #askedAt = 0;
  #answered = 0;

  constructor(client: Client, isBusy: boolean) {
    const ask = (): void => {
      this.#askedAt = performance.now();
      client.send({ action: 'wait', request_id: 1_000 + this.#asked++, milliseconds: duration });
    };
    client.onText = (text) => {
      if (text.includes('"action":"drain"')) this.#leave(text);
      else this.#answered += 1;
      if (isBusy && this.#asked === this.#answered && this.toldAt === undefined) ask();
    };
    this.ended = new Promise((resolve) => {
      client.onClose = (code) => {
        this.closeCode = code;
        this.closedAt = performance.now();
        resolve();
      };
    });
    if (isBusy) setTimeout(ask, Math.random() * duration);
  }

  get asked(): number {
    return this.#asked;
  }

  get lost(): number {
    return this.#asked - this.#answered;
  }

  /** Its last request was under way to the server while the drain frame was under way to it, as far as times can tell. */
  get hasCrossed(): boolean {
    return this.lost === 1 && this.toldAt !== undefined && this.toldAt - this.#askedAt < 100;
  }

  #leave(text: Buffer): void {
    const { data } = JSON.parse(String(text)) as { data: { retry_after_ms: number } };
    this.toldAt = performance.now();
    this.retryAfter = data.retry_after_ms;
  }
}

function tell(
  { report }: Bench,
  stays: readonly Stay[],
  { code, seconds }: { readonly code: number | null; readonly seconds: number },
): void {
  const lost = stays.reduce((sum, stay) => sum + stay.lost, 0);
  const asked = stays.reduce((sum, stay) => sum + stay.asked, 0);
  const closes = stays.map(({ closedAt }) => closedAt);
  const returns = stays.map(({ toldAt = 0, retryAfter }) => toldAt + retryAfter);
  const untold = stays.filter(({ toldAt, closeCode }) => toldAt === undefined || closeCode !== 1012).length;
  const whose = `of ${stays.length} clients`;
  report.figure({ bar: 'B16', what: `from SIGTERM to the exit, ${whose}`, value: seconds, unit: 's', atMost: 30 });
  report.figure({ bar: 'B16', what: 'exit code', value: code ?? 137, unit: '', atMost: 0 });
  report.figure({ bar: 'B16', what: `replies lost, of ${shown(asked)} requests`, value: lost, unit: '', atMost: 0 });
  const crossed = stays.filter(({ hasCrossed }) => hasCrossed).length;
  if (crossed > 0) report.note('B16', `${crossed} of them were sent within 100 ms before the drain frame was read`);
  report.figure({ bar: 'B16', what: `without a drain frame or 1012, ${whose}`, value: untold, unit: '', atMost: 0 });
  report.note('B16', `close codes: ${JSON.stringify(countBy(stays.map(({ closeCode }) => String(closeCode))))}`);
  report.note('B16', `told in one second: ${mostPerSecond(stays.map(({ toldAt = 0 }) => toldAt))} at most`);
  report.figure({
    bar: 'B16',
    what: 'closes in one second',
    value: mostPerSecond(closes),
    unit: 'at most',
    atMost: 500,
  });
  report.figure({
    bar: 'B16',
    what: 'returns in one second',
    value: mostPerSecond(returns),
    unit: 'at most',
    atMost: 500,
  });
}

/** In any second, wherever it begins. */
function mostPerSecond(moments: readonly number[]): number {
  const sorted = moments.toSorted((one, other) => one - other);
  let most = 0;
  let first = 0;
  for (const [last, moment] of sorted.entries()) {
    while (moment - (sorted[first] ?? moment) >= 1_000) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

function countBy(values: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
