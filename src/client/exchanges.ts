import type { ReplyFrame } from '../wire/messages.js';
import type { Asked, CompleteOptions } from './client-options.js';
import { Connection, type ConnectionListener, type ConnectionStatus, type StatusReason } from './connection.js';
import { Emitter } from './emitter.js';
import { type Desk, type Exchange, encode, type Payload } from './exchange.js';
import { Request, type RequestOptions } from './request.js';
import { SignalboxError } from './signalbox-error.js';
import { OpenSubscription } from './subscription.js';

/** Told of frames that belong to no request and no subscription: what consumers send of their own making. */
export type FrameListener = (payload: unknown, stream: string | null) => void;

/** Everything that is asked of the server and not over, by its request id; it outlives the connections. */
export class Exchanges implements Desk, ConnectionListener {
  readonly options: CompleteOptions;
  readonly connection: Connection;
  readonly #open = new Map<unknown, Exchange>();
  readonly #frames = new Emitter<Parameters<FrameListener>>();
  readonly onFrame = this.#frames.on;
  #lastId = 0;
  /** Why nothing more is asked. */
  #stop: SignalboxError | undefined;

  constructor(url: string | Asked<string>, options: CompleteOptions) {
    this.options = options;
    this.connection = new Connection(url, options, this);
    if (!options.lazy) this.connection.connect();
  }

  request(stream: string | null, payload: Payload, options: RequestOptions = {}): Request['call'] {
    const { maxQueue } = this.options;
    const request = new Request(this, ++this.#lastId, stream, payload, options);
    if (options.signal?.aborted) request.fail(options.signal.reason);
    else if (this.#stop) request.fail(this.#stop);
    else {
      this.#begin(request);
      if (!request.isSent && this.#all().filter(({ isSent, isStanding }) => !isSent && !isStanding).length > maxQueue)
        request.fail(request.failure('queue_full', 'Too many requests wait for a connection.'));
    }
    return request.call;
  }

  subscribe(stream: string | null, payload: Payload, listener?: (event: unknown) => void): OpenSubscription {
    const subscription = new OpenSubscription(this, ++this.#lastId, stream, payload);
    if (listener) subscription.onEvent(listener);
    if (this.#stop?.code === 'closed') subscription.fail(this.#stop);
    else this.#begin(subscription);
    return subscription;
  }

  reconnect(): void {
    if (this.#stop?.code !== 'closed') this.#stop = undefined;
    this.connection.connect();
  }

  forget({ id }: Exchange): void {
    this.#open.delete(id);
  }

  askAgain(exchange: Exchange, { retryAfter }: SignalboxError): void {
    const { clock, random, firstDelay } = this.options;
    exchange.isSent = false;
    clock.after(retryAfter ?? random() * firstDelay, () => {
      if (this.#open.has(exchange.id) && !exchange.isSent) this.#ask(exchange);
    });
  }

  tell(stream: string | null, action: string, target: number): void {
    this.connection.send(encode(stream, { action, target }, ++this.#lastId));
  }

  opened(): void {
    for (const exchange of this.#all()) if (!exchange.isSent) this.#ask(exchange);
  }

  received(data: unknown): void {
    const { stream, payload } = unwrap(data);
    const { request_id: id, action, code } = payload ?? {};
    const exchange = this.#open.get(id);
    if (exchange) exchange.receive(payload);
    else if (action === 'drain') this.connection.drain(new SignalboxError(payload).retryAfter);
    else if (code === 'stream_closed') this.#closeStream(stream, payload);
    // With an id it is the answer to something that nobody waits for any more.
    else if (id == null && action !== 'ping') this.#frames.emit(payload, stream);
  }

  lost(): void {
    for (const exchange of this.#all()) {
      if (!exchange.isSent) continue;
      exchange.isSent = false;
      exchange.lose();
    }
  }

  /** Subscriptions wait for a `$reconnect()`, unless there will be none. */
  stopped(status: ConnectionStatus, why: StatusReason): void {
    const error = new SignalboxError({ code: status, errors: [`The connection is ${status}.`], data: why });
    this.#stop = error;
    for (const exchange of this.#all()) if (!exchange.isStanding || status === 'closed') exchange.fail(error);
  }

  #closeStream(stream: string | null, frame: ReplyFrame): void {
    for (const exchange of this.#all()) if (exchange.isStanding && exchange.stream === stream) exchange.receive(frame);
  }

  /** Subscriptions first: what requests cause is to be heard of. */
  #all(): Exchange[] {
    return [...this.#open.values()].sort((one, other) => +other.isStanding - +one.isStanding);
  }

  #begin(exchange: Exchange): void {
    this.#open.set(exchange.id, exchange);
    this.#ask(exchange);
  }

  #ask(exchange: Exchange): void {
    exchange.isSent = this.connection.send(exchange.text);
  }
}

interface Envelope {
  readonly stream: string | null;
  readonly payload: ReplyFrame;
}

/** What is no frame of a stream is a frame of a route without streams, or none of ours. */
function unwrap(data: unknown): Envelope {
  const frame = parse(data) as (Envelope & ReplyFrame) | null;
  return frame?.stream !== undefined && frame.payload ? frame : { stream: null, payload: frame as ReplyFrame };
}

/** Binary data, and text that is no JSON, as they came. */
function parse(data: unknown): unknown {
  try {
    return JSON.parse(data as string);
  } catch {
    return data;
  }
}
