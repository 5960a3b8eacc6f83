import type { ConsumerSocket } from '../consumers/reach.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import { encodeFrame, encodeReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import type { Outbound } from './outbound.js';

/** What a connection lends to the consumers behind it. */
export interface SocketOwner {
  readonly outbound: Outbound;
  /** Told of every reply. */
  noteReply(reply: Reply): void;
  close(code: number, reason: string): void;
  closeStream(stream: string, code: number, reason: string): void;
}

/** The client's end of a route's only consumer. */
export class WholeSocket implements ConsumerSocket {
  readonly #owner: SocketOwner;

  constructor(owner: SocketOwner) {
    this.#owner = owner;
  }

  reply(reply: Reply, latest?: string): void {
    send(this.#owner, reply, undefined, latest);
  }

  json(text: string): void {
    this.#owner.outbound.send(text);
  }

  binary(data: Uint8Array): void {
    this.#owner.outbound.sendBinary(data);
  }

  ready(): Promise<void> | undefined {
    return this.#owner.outbound.ready();
  }

  close(code: number, reason: string): void {
    this.#owner.close(code, reason);
  }

  cut(code: number, reason: string): void {
    this.#owner.close(code, reason);
  }
}

/** The client's end of one stream of several. */
export class StreamSocket implements ConsumerSocket {
  readonly #owner: SocketOwner;
  readonly #stream: string;
  readonly #consumer: Class;

  constructor(owner: SocketOwner, stream: string, consumer: Class) {
    this.#owner = owner;
    this.#stream = stream;
    this.#consumer = consumer;
  }

  reply(reply: Reply, latest?: string): void {
    send(this.#owner, reply, this.#stream, latest);
  }

  json(text: string): void {
    this.#owner.outbound.send(encodeFrame(text, this.#stream), undefined, text);
  }

  binary(): never {
    throw new ConfigurationError({
      class: this.#consumer.name,
      reason: 'sends a binary frame from a stream, which it could not name.',
      remedy: 'Give it a route of its own, or send JSON.',
    });
  }

  ready(): Promise<void> | undefined {
    return this.#owner.outbound.ready();
  }

  close(code: number, reason: string): void {
    this.#owner.closeStream(this.#stream, code, reason);
  }

  cut(code: number, reason: string): void {
    this.#owner.close(code, reason);
  }
}

function send(owner: SocketOwner, reply: Reply, stream: string | undefined, key: string | undefined): void {
  const text = encodeReply(reply, stream);
  if (key === undefined) owner.outbound.send(text, undefined, reply.data);
  else {
    const as = (action: string): string => encodeReply({ ...reply, action }, stream);
    owner.outbound.send(text, { key, action: reply.action ?? '', as }, reply.data);
  }
  owner.noteReply(reply);
}
