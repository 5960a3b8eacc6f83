import { createHistogram } from 'node:perf_hooks';
import { Client } from './client.js';
import { gather } from './crowd.js';
import { Follower, type Tally } from './follower.js';

export interface SoakCrowdOptions {
  readonly port: number;
  readonly path: string;
  readonly size: number;
  readonly subscriptions: number;
}

const writers = 10;
const text = 'x'.repeat(70);

/** Those who follow and those who write: as many topics as followers, and each topic with as many followers as one has topics. */
export class SoakCrowd {
  readonly #options: SoakCrowdOptions;
  readonly #followers: Follower[] = [];
  /** The number of the next event of each topic. */
  readonly #next: number[];
  readonly heard: Tally = { events: 0, failures: [], latencies: createHistogram() };
  /** In microseconds, from each request of a writer to its reply. */
  readonly writing = createHistogram();
  changes = 0;
  churned = 0;
  /** Of followers, not by themselves. */
  closed = 0;
  #isOver = false;

  constructor(options: SoakCrowdOptions) {
    this.#options = options;
    this.#next = Array.from({ length: options.size }, () => 0);
  }

  async gather(): Promise<void> {
    const topicOf = (index: number, each: number): number => this.#topicOf(index, each);
    const clients = await gather({ ...this.#options, topicOf });
    for (const [index, client] of clients.entries()) this.#follow(index, client);
  }

  /** @param perSecond changes, each in a transaction of its own. Resolves when `stop` was called and all are written */
  async write(perSecond: number): Promise<void> {
    await Promise.all(Array.from({ length: writers }, (_, writer) => this.#writeSome(writer, perSecond / writers)));
  }

  /** @param perSecond followers that go, each of whom another one follows */
  async churn(perSecond: number): Promise<void> {
    const under: Promise<void>[] = [];
    await this.#paced(perSecond, async () => {
      under.push(this.#replace(Math.floor(Math.random() * this.#options.size)));
    });
    await Promise.all(under);
  }

  stop(): void {
    this.#isOver = true;
  }

  /** Everybody goes. @returns what those who stayed until now have missed */
  end(): readonly string[] {
    const missing = this.#followers.flatMap((follower) => follower.missing((topic) => this.#next[topic] ?? 0));
    for (const { client } of this.#followers) client.end();
    return missing;
  }

  #topicOf(index: number, each: number): number {
    return (index + each * 97) % this.#options.size;
  }

  #follow(index: number, client: Client): void {
    const topics = Array.from({ length: this.#options.subscriptions }, (_, each) => this.#topicOf(index, each));
    this.#followers[index] = new Follower(client, this.heard, topics, (topic) => this.#next[topic] ?? 0);
    client.onClose = () => {
      this.closed += 1;
      void this.#replace(index);
    };
  }

  async #replace(index: number): Promise<void> {
    const gone = this.#followers[index];
    if (!gone) return;
    delete this.#followers[index];
    gone.client.end();
    const topicOf = (_: number, each: number): number => this.#topicOf(index, each);
    const [client] = await gather({ ...this.#options, size: 1, topicOf });
    this.churned += 1;
    if (client) this.#follow(index, client);
  }

  /** The topics of one writer are no other's, and it writes one change after the other. */
  async #writeSome(writer: number, perSecond: number): Promise<void> {
    const client = await Client.open(this.#options);
    let topic = writer;
    await this.#paced(perSecond, async () => {
      topic = (topic + writers) % this.#options.size;
      const number = this.#next[topic] ?? 0;
      this.#next[topic] = number + 1;
      const begun = performance.now();
      const reply = await client.request({ action: 'publish', request_id: 1, topic, number, events: 1, text });
      this.writing.record(Math.max(1, Math.round((performance.now() - begun) * 1_000)));
      this.changes += 1;
      if (!reply.includes('"errors":[],')) this.heard.failures.push(`a change was refused: ${reply}`);
    });
    client.end();
  }

  /** Begins so many works a second, each after the one before; those that are late come one upon the other. */
  async #paced(perSecond: number, work: () => Promise<void>): Promise<void> {
    if (perSecond === 0) return;
    const begun = performance.now();
    for (let done = 0; !this.#isOver; done += 1) {
      const wait = begun + (done * 1_000) / perSecond - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      await work();
    }
  }
}
