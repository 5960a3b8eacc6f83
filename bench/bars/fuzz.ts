import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { anyBytes, spoiltFrom } from '../../spec/support/spoilt-frames.js';
import { type Bar, type Bench, onServer } from './bar.js';
import { Client } from './client.js';
import { frameOf } from './frames.js';
import { shown } from './report.js';
import type { Server } from './server.js';

const path = '/signal/';
const sockets = 50;

/** So many texts go through one socket, and so many byte sequences through one that is ended behind them. */
const textsTogether = 200;
const bytesTogether = 4;

/** One worker of so many sends bytes, the others texts. */
const shareOfBytes = 10;

/** Milliseconds for an answer. */
const deadline = 1_000;

/** Frames as clients send them, which are then spoilt. None has events: what comes back are answers. */
const valid = [
  '{"action":"echo","request_id":1,"text":"a"}',
  '{"action":"echo","request_id":"b","parts":[{"name":"c"},{}]}',
  '{"action":"wait","request_id":2,"milliseconds":1}',
  '{"action":"subscribe_topic","request_id":3,"topic":-2}',
  '{"action":"cancel","request_id":4,"target":1}',
  '{"action":"unsubscribe","request_id":5,"target":3}',
  '{"action":"ping","request_id":6}',
];

export const fuzz: Bar = {
  ids: ['B14'],
  about: 'spoilt frames and mere bytes, each answered or closed within a second',
  async run(bench) {
    const settings = { limits: { errorsPerMinute: 2_147_483_647, throttledPerMinute: 2_147_483_647 } };
    await onServer(bench, 'signalbox', (server) => new Fuzzing(bench, server).run(), settings);
  },
};

class Fuzzing {
  readonly #bench: Bench;
  readonly #server: Server;
  #frames = 0;
  #seed: number;
  #slowest = 0;
  readonly #unanswered: string[] = [];

  constructor(bench: Bench, server: Server) {
    this.#bench = bench;
    this.#server = server;
    this.#seed = bench.options.seed;
  }

  async run(): Promise<void> {
    const { report, options } = this.#bench;
    let hasCrashed = false;
    this.#server.process.once('exit', () => {
      hasCrashed = true;
    });
    const before = await this.#server.ask('memory');
    await Promise.all(Array.from({ length: sockets }, (_, worker) => this.#work(worker)));
    const what = `of ${shown(this.#frames)} frames, seed ${options.seed}`;
    report.figure({ bar: 'B14', what: `crashes, ${what}`, value: hasCrashed ? 1 : 0, unit: '', atMost: 0 });
    const unanswered = this.#unanswered.length;
    report.figure({ bar: 'B14', what: 'neither answered nor closed in 1 s', value: unanswered, unit: '', atMost: 0 });
    for (const text of this.#unanswered.slice(0, 5)) report.note('B14', JSON.stringify(text));
    if (hasCrashed) return;
    const { 'log lines': lines = 0 } = await this.#server.ask('counts');
    report.figure({ bar: 'B14', what: 'warnings and errors in the log', value: lines, unit: '', atMost: 0 });
    const grown = ((await this.#server.ask('memory')).rss - before.rss) / 1_048_576;
    report.note('B14', `the slowest answer took ${shown(this.#slowest)} ms; ${shown(grown)} MiB more resident memory`);
  }

  async #work(worker: number): Promise<void> {
    while (this.#frames < this.#bench.options.frames) {
      const seed = this.#seed++;
      const isBytes = worker % shareOfBytes === 0;
      this.#frames += isBytes ? bytesTogether : textsTogether;
      if (isBytes) await this.#sendBytes(worker, seed);
      else await this.#sendTexts(worker, seed);
    }
  }

  /** One after the other; each has one answer. */
  async #sendTexts(worker: number, seed: number): Promise<void> {
    const texts = fc.sample(spoiltFrom(valid), { numRuns: textsTogether, seed });
    const client = await Client.open({ port: this.#server.port, path, source: worker });
    for (const text of [...texts, '{"action":"ping","request_id":"alive"}']) {
      const answer = await this.#within(text, client.nextOnes(1), () => client.write(frameOf(1, text)));
      if (!answer) break;
      // An answer too many would be taken for that of the next frame.
      if (text.includes('"alive"') && !answer[0]?.includes('"alive"')) this.#unanswered.push(`answers of ${text}`);
    }
    client.end();
  }

  /** The server ends a socket whose client has ended, whatever came before. */
  async #sendBytes(worker: number, seed: number): Promise<void> {
    const all = fc.sample(anyBytes(valid), { numRuns: bytesTogether, seed });
    const client = await Client.open({ port: this.#server.port, path, source: worker });
    const closed = new Promise<true>((resolve) => {
      client.onClose = () => resolve(true);
    });
    const text = all.map((bytes) => bytes.toString('hex')).join(' ');
    await this.#within(text, closed, () => {
      for (const bytes of all) client.write(bytes);
      client.socket.end();
    });
  }

  /** A socket that is closed is an answer too. */
  async #within<Answer>(text: string, answer: Promise<Answer>, send: () => void): Promise<Answer | undefined> {
    const begun = performance.now();
    send();
    const late = Symbol('late');
    const given = await Promise.race([answer.catch(() => undefined), delay(deadline, late)]);
    this.#slowest = Math.max(this.#slowest, performance.now() - begun);
    if (given !== late) return given as Answer | undefined;
    this.#unanswered.push(text);
    return undefined;
  }
}
