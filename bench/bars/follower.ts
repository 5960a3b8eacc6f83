import type { RecordableHistogram } from 'node:perf_hooks';
import type { Client } from './client.js';
import { now } from './moment.js';

interface Heard {
  /** Of the last event. */
  last: number | undefined;
  /** Every event from this number on was published after the subscription was confirmed. */
  readonly from: number;
}

/** What all followers have heard together. */
export interface Tally {
  events: number;
  readonly failures: string[];
  /** In microseconds, from each event to its follower. */
  readonly latencies: RecordableHistogram;
}

/** A client that knows what it has to hear: of each topic every number, in order, from its subscription on. */
export class Follower {
  readonly client: Client;
  readonly #heard = new Map<number, Heard>();
  readonly #tally: Tally;

  /** @param next the number of the next event of each topic, just after the subscription was confirmed */
  constructor(client: Client, tally: Tally, topics: readonly number[], next: (topic: number) => number) {
    this.client = client;
    this.#tally = tally;
    for (const topic of topics) this.#heard.set(topic, { last: undefined, from: next(topic) });
    for (const text of client.early.splice(0)) this.#hear(text);
    client.onText = (text) => this.#hear(text);
  }

  /** What was published and never came. Asked once nothing is under way any more. */
  missing(next: (topic: number) => number): readonly string[] {
    const missing: string[] = [];
    for (const [topic, { last, from }] of this.#heard) {
      const isComplete = next(topic) <= from || last === next(topic) - 1;
      if (!isComplete) missing.push(`topic ${topic} ended with ${last} instead of ${next(topic) - 1}`);
    }
    return missing;
  }

  #hear(text: Buffer): void {
    const { data } = JSON.parse(String(text)) as { data: { topic: number; number: number; at: number } };
    const { topic, number, at } = data;
    const heard = this.#heard.get(topic);
    this.#tally.events += 1;
    this.#tally.latencies.record(Math.max(1, Math.round((now() - at) * 1_000)));
    if (!heard) {
      this.#tally.failures.push(`an event of topic ${topic}, which nobody asked for`);
      return;
    }
    const isNext = heard.last === undefined ? number <= heard.from : number === heard.last + 1;
    if (!isNext)
      this.#tally.failures.push(`topic ${topic}: ${number} came after ${heard.last ?? `less than ${heard.from}`}`);
    heard.last = number;
  }
}
