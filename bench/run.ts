import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { startPostgres } from '../spec/support/postgres.js';
import { Client } from './client.js';

type Work = (port: number) => Promise<number>;

const rounds = 7;
const echoes = 20_000;
const inFlight = 16;
const listeners = 500;
const changes = 20;

/** Microseconds per request. */
const echo: Work = async (port) => {
  const client = await Client.open(port);
  const done = Promise.withResolvers<void>();
  let sent = 0;
  let answered = 0;
  const next = (): void => client.send({ action: 'echo', request_id: sent++, x: 1, text: 'some text' });
  client.onFrame = () => {
    answered += 1;
    if (answered === echoes) done.resolve();
    else if (sent < echoes) next();
  };
  const time = await timed(async () => {
    for (let each = 0; each < inFlight; each += 1) next();
    await done.promise;
  });
  client.close();
  return time / echoes;
};

/** Microseconds per delivery, so many changes at a time. */
const fanOut =
  (together: number): Work =>
  async (port) => {
    const clients = await Promise.all(Array.from({ length: listeners }, () => Client.open(port)));
    await Promise.all(
      clients.map((client) =>
        told(client, 'subscribe_notes', 1, () => client.send({ action: 'subscribe_notes', request_id: 1 })),
      ),
    );
    const writers = clients.slice(0, together);
    const time = await timed(async () => {
      for (let each = 0; each < changes; each += 1) {
        const all = Promise.all(clients.map((client) => told(client, 'create', together)));
        for (let each = 0; each < together; each += 1) writers[each]?.send({ action: 'create_note', request_id: 2 });
        await all;
      }
    });
    for (const client of clients) client.close();
    return time / changes / together / listeners;
  };

function told(client: Client, action: string, times = 1, begin: () => void = () => {}): Promise<void> {
  let left = times;
  return new Promise((resolve) => {
    client.onFrame = (frame) => {
      if (frame.action === action) left -= 1;
      if (left === 0) resolve();
    };
    begin();
  });
}

async function timed(work: () => Promise<void>): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start) / 1000;
}

async function serve(name: string, url: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(fileURLToPath(new URL(name, import.meta.url)), [url]);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { child, port };
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

async function compare(name: string, work: Work, signalbox: number, raw: number): Promise<void> {
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await work(signalbox));
    theirs.push(await work(raw));
  }
  const [mine, other] = [median(ours), median(theirs)];
  process.stdout.write(
    `${name.padEnd(12)} signalbox ${mine.toFixed(1)} us, by hand ${other.toFixed(1)} us, ratio ${(mine / other).toFixed(2)}\n`,
  );
}

const postgres = await startPostgres();
const ours = await serve('signalbox-server.js', await postgres.createDatabase('bench_signalbox'));
const theirs = await serve('raw-server.js', await postgres.createDatabase('bench_raw'));
await compare('echo', echo, ours.port, theirs.port);
await compare('fan-out', fanOut(1), ours.port, theirs.port);
await compare('fan-out of 4', fanOut(4), ours.port, theirs.port);
ours.child.kill();
theirs.child.kill();
await postgres.stop();
