import { runDetached } from '../async-context.js';
import type { ChannelMessage } from './channel-layer.js';

interface Job<Channel> {
  readonly channels: readonly Channel[];
  readonly messages: ChannelMessage[];
  readonly isMember: (channel: Channel) => boolean;
  readonly done: PromiseWithResolvers<void>;
  next: number;
}

/**
 * Hands messages to channels of this process in the order in which they were sent, at most a slice of them per turn of the event loop, so
 * that a large group or many messages do not hold up other work. Messages for the same list of channels are handed to one channel after the
 * other, which can then send them in one write.
 */
export class SlicedDelivery<Channel = string> {
  readonly #jobs: Job<Channel>[] = [];
  #left: number;
  #isRunning = false;
  #isTurning = false;

  /** @param deliver hands over one message; never throws */
  constructor(
    private readonly slice: number,
    private readonly deliver: (channel: Channel, message: ChannelMessage) => void,
  ) {
    this.#left = slice;
  }

  /**
   * Resolves when the message was handed to all channels.
   *
   * @param isMember whether a channel is still to receive the message when its turn comes
   */
  send(
    channels: readonly Channel[],
    message: ChannelMessage,
    isMember: (channel: Channel) => boolean = () => true,
  ): Promise<void> {
    const job = this.#jobFor(channels, isMember);
    job.messages.push(message);
    // A delivery does not belong to the request that sent the message.
    runDetached(() => this.#run());
    return job.done.promise;
  }

  #jobFor(channels: readonly Channel[], isMember: (channel: Channel) => boolean): Job<Channel> {
    const last = this.#jobs.at(-1);
    if (last?.next === 0 && last.channels === channels && last.messages.length < this.slice) return last;
    const job = { channels, messages: [], isMember, done: Promise.withResolvers<void>(), next: 0 };
    this.#jobs.push(job);
    return job;
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    for (let [job] = this.#jobs; job && this.#left > 0; [job] = this.#jobs) this.#runJob(job);
    this.#isRunning = false;
    this.#turnLater();
  }

  #runJob(job: Job<Channel>): void {
    for (; job.next < job.channels.length; this.#left -= job.messages.length) {
      if (this.#left < job.messages.length) {
        this.#left = 0;
        return;
      }
      const channel = job.channels[job.next++];
      if (channel === undefined || !job.isMember(channel)) continue;
      for (const message of job.messages) this.deliver(channel, message);
    }
    this.#jobs.shift();
    job.done.resolve();
  }

  #turnLater(): void {
    if (this.#isTurning || this.#left === this.slice) return;
    this.#isTurning = true;
    runDetached(() => setImmediate(() => this.#turn()));
  }

  #turn(): void {
    this.#isTurning = false;
    this.#left = this.slice;
    this.#run();
  }
}
