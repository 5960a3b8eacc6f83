import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../bars/client.js';
import { frameOf } from '../bars/frames.js';
import { call, connect, listen, nextId, subscribe } from './conversation.js';
import { type Dialect, dialects, type Request } from './dialects.js';
import { processorTime, residentMemory } from './process-figures.js';
import { verify } from './verification.js';
import {
  type Deletes,
  type FanOut,
  type Handshakes,
  type Load,
  type Memory,
  requests,
  tableSize,
  type Verification,
} from './works.js';

export interface Job {
  readonly work: Load | Deletes | FanOut | Handshakes | Memory | Verification;
  readonly dialect: keyof typeof dialects;
  readonly port: number;
  readonly pid: number;
  /** Of load that counts. As much again comes before it, and does not. */
  readonly seconds: number;
}

/** By what is measured: microseconds of the server's processor for one operation, KiB, or nothing. */
export type Figures = Readonly<Record<string, number>>;

const connections = 64;

/** One in so many replies is read, and must be none of an error. */
const sample = 256;

/** Written ahead, so that the generator is no slower than what it measures. No row has its values a second time meanwhile. */
const ringSize = 2 * tableSize;

/** Milliseconds until a server has done what comes after its last reply. */
const settling = 4_000;

/** Differs for each process: a row that keeps its values is no change. */
const salt = Date.now().toString(36);

let patched = 0;

const job: Job = JSON.parse(process.argv[2] ?? '{}');
const dialect: Dialect = dialects[job.dialect];
const figures = await measure(job);
process.send?.(figures, () => process.exit());

function measure({ work }: Job): Promise<Figures> {
  switch (work.kind) {
    case 'load':
      return measureLoad(work);
    case 'deletes':
      return measureDeletes(work);
    case 'fan-out':
      return measureFanOut(work);
    case 'handshakes':
      return measureHandshakes(work);
    case 'memory':
      return measureMemory(work);
    case 'verification':
      return verify(job.port, dialect).then(() => ({}));
  }
}

async function measureLoad({ request, inFlight, limit }: Load): Promise<Figures> {
  const frames = Array.from({ length: ringSize }, (_, number) => framed(requests[request](number, salt, limit)));
  let sent = 0;
  const next = (count: number): Buffer =>
    Buffer.concat(Array.from({ length: count }, () => frames[sent++ % ringSize] ?? Buffer.alloc(0)));
  let answered = 0;
  const clients = await connect(job.port, dialect, connections);
  for (const client of clients) {
    keepAsking(client, next, (text) => {
      answered += 1;
      if (answered % sample === 0 && !dialect.decode(text.toString()).isOk) throw new Error(`Refused: ${text}`);
    });
    client.write(next(inFlight));
  }
  await delay(job.seconds * 1_000);
  const [before, cpu] = [answered, processorTime(job.pid)];
  await delay(job.seconds * 1_000);
  return { cpu: (processorTime(job.pid) - cpu) / (answered - before) };
}

/** What was answered together is asked again together, in one write. */
function keepAsking(client: Client, next: (count: number) => Buffer, take: (text: Buffer) => void): void {
  let owed = 0;
  listen(client, dialect, (text) => {
    take(text);
    owed += 1;
    if (owed > 1) return;
    process.nextTick(() => {
      client.write(next(owed));
      owed = 0;
    });
  });
}

/** The first half warms the server up, and does not count. */
async function measureDeletes({ rows }: Deletes): Promise<Figures> {
  const clients = await connect(job.port, dialect, connections);
  const made: number[] = [];
  const ask = async (client: Client, request: Request): Promise<unknown> => {
    const { isOk, data } = await call(client, dialect, request);
    if (!isOk) throw new Error(`Refused: ${JSON.stringify(request)}`);
    return data;
  };
  const createSome = async (client: Client): Promise<void> => {
    for (let each = 0; each < rows / connections; each += 1)
      made.push(((await ask(client, requests.create(each, salt))) as { readonly id: number }).id);
  };
  const deleteUntil = async (client: Client, left: number): Promise<void> => {
    while (made.length > left) await ask(client, { action: 'delete', pk: made.pop() ?? 0 });
  };
  await Promise.all(clients.map(createSome));
  await Promise.all(clients.map((client) => deleteUntil(client, rows / 2)));
  const cpu = processorTime(job.pid);
  await Promise.all(clients.map((client) => deleteUntil(client, 0)));
  return { cpu: (processorTime(job.pid) - cpu) / (rows / 2) };
}

async function measureFanOut({ subscribers }: FanOut): Promise<Figures> {
  const followers = await connect(job.port, dialect, subscribers);
  await subscribe(followers, dialect, () => ({ action: 'subscribe' }));
  const [writer] = await connect(job.port, dialect, 1);
  if (!writer) throw new Error('There is no connection to write by.');
  const patchFor = async (seconds: number): Promise<number> => {
    const end = performance.now() + seconds * 1_000;
    let patches = 0;
    for (; performance.now() < end || patches === 0; patches += 1) await patchAndWait(writer, followers);
    return patches;
  };
  await patchFor(job.seconds);
  const cpu = processorTime(job.pid);
  const patches = await patchFor(job.seconds);
  return { cpu: (processorTime(job.pid) - cpu) / (patches * subscribers) };
}

/** Resolves once the writer has its reply and each follower one event more. */
function patchAndWait(writer: Client, followers: readonly Client[]): Promise<void> {
  let left = followers.length + 1;
  return new Promise((resolve) => {
    const count = (): void => {
      left -= 1;
      if (left === 0) resolve();
    };
    for (const client of [writer, ...followers]) listen(client, dialect, count);
    writer.write(framed({ ...requests.patch(patched++, salt), pk: 1 }));
  });
}

async function measureHandshakes({ connections }: Handshakes): Promise<Figures> {
  const cpu = processorTime(job.pid);
  await connect(job.port, dialect, connections);
  return { cpu: (processorTime(job.pid) - cpu) / connections };
}

async function measureMemory({ sizes: [few, many] }: Memory): Promise<Figures> {
  const resident = async (more: number): Promise<number> => {
    const clients = await connect(job.port, dialect, more);
    await subscribe(clients, dialect, (index) => ({ action: 'subscribe_instance', pk: 1 + (index % tableSize) }));
    await delay(settling);
    return residentMemory(job.pid);
  };
  const small = await resident(few);
  const large = await resident(many - few);
  const perConnection = (large - small) / (many - few);
  return { perConnection, fixed: small - few * perConnection };
}

function framed(request: Request): Buffer {
  return frameOf(1, dialect.encode(nextId(), request));
}
