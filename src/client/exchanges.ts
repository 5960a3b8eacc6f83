import type { Asked, CompleteOptions } from './client-options.js';
import { Connection, type ConnectionListener, type ConnectionStatus, type StatusReason } from './connection.js';
import { type Desk, type Exchange, encode, type Frame, type Payload } from './exchange.js';
import { listen, tell } from './listeners.js';
import { Request, type RequestOptions } from './request.js';
import { clientError, errorOf, type SignalboxError } from './signalbox-error.js';
import { OpenSubscription } from './subscription.js';

/** Told of frames that belong to no request and no subscription: what consumers send of their own making. */
export type FrameListener = (payload: unknown, stream: string | null) => void;

/** Everything that is asked of the server and not over, by its request id; it outlives the sockets. */
export class Exchanges implements Desk, ConnectionListener {
  readonly options: CompleteOptions;
  readonly connection: Connection;
  readonly #requests = new Map<unknown, Request>();
  readonly #subscriptions = new Map<unknown, OpenSubscription>();
  readonly #frameListeners = new Set<FrameListener>();
  #lastId = 0;
  #stop: SignalboxError | undefined;

  constructor(url: string | Asked<string>, options: CompleteOptions) {
    this.options = options;
    this.connection = new Connection(url, options, this);
    if (!options.lazy) this.connection.connect();
  }

  request(stream: string | null, payload: Payload, options: RequestOptions = {}): Request['result'] {
    const { maxQueue } = this.options;
    const request = new Request(this, ++this.#lastId, stream, payload, options);
    if (options.signal?.aborted) request.fail(options.signal.reason);
    else if (this.#stop) request.fail(this.#stop);
    else {
      this.#requests.set(request.id, request);
      this.#ask(request);
      if (!request.isSent && this.#countWaiting() > maxQueue)
        request.fail(clientError('queue_full', `More than ${maxQueue} requests wait for a connection.`));
    }
    return request.result;
  }

  subscribe(stream: string | null, payload: Payload, listener?: (event: unknown) => void): OpenSubscription {
    const subscription = new OpenSubscription(this, ++this.#lastId, stream, payload);
    if (listener) subscription.onEvent(listener);
    if (this.connection.status === 'closed') subscription.fail(closed);
    else {
      this.#subscriptions.set(subscription.id, subscription);
      this.#ask(subscription);
    }
    return subscription;
  }

  onFrame(listener: FrameListener): () => void {
    return listen(this.#frameListeners, listener);
  }

  reconnect(): void {
    if (this.connection.status === 'closed') return;
    this.#stop = undefined;
    this.connection.connect();
  }

  forget(id: number): void {
    this.#requests.delete(id);
    this.#subscriptions.delete(id);
  }

  askAgain(exchange: Exchange, { retryAfter }: SignalboxError): void {
    const { clock, random, firstDelay } = this.options;
    exchange.isSent = false;
    clock.after(retryAfter ?? random() * firstDelay, () => {
      if (this.#find(exchange.id) === exchange && !exchange.isSent) this.#ask(exchange);
    });
  }

  tell(stream: string | null, action: string, target: number): void {
    this.connection.send(encode(stream, { action, target }, ++this.#lastId));
  }

  opened(): void {
    for (const exchange of this.#all()) this.#ask(exchange);
  }

  received(data: unknown): void {
    const { stream, payload } = unwrap(data);
    const exchange = this.#find(payload?.request_id);
    if (exchange) exchange.isSent && exchange.receive(payload);
    else if (payload?.action === 'drain') this.connection.drain(errorOf(payload).retryAfter);
    else if (payload?.code === 'stream_closed') this.#closeStream(stream, payload);
    else if (payload?.action !== 'ping') tell(this.#frameListeners, payload, stream);
  }

  lost(): void {
    for (const exchange of this.#all()) {
      if (!exchange.isSent) continue;
      exchange.isSent = false;
      exchange.lose();
    }
  }

  /** Subscriptions stay for a `$reconnect()`, unless there will be none. */
  stopped(status: ConnectionStatus, why: StatusReason): void {
    const error = stopError(status, why);
    this.#stop = error;
    for (const request of [...this.#requests.values()]) request.fail(error);
    if (status === 'closed') for (const subscription of [...this.#subscriptions.values()]) subscription.fail(error);
  }

  #closeStream(stream: string | null, frame: Frame): void {
    for (const subscription of [...this.#subscriptions.values()])
      if (subscription.stream === stream) subscription.receive(frame);
  }

  /** Subscriptions first: what requests cause is to be heard of. */
  #all(): Exchange[] {
    return [...this.#subscriptions.values(), ...this.#requests.values()];
  }

  #find(id: unknown): Exchange | undefined {
    return this.#requests.get(id) ?? this.#subscriptions.get(id);
  }

  #countWaiting(): number {
    return [...this.#requests.values()].filter(({ isSent }) => !isSent).length;
  }

  #ask(exchange: Exchange): void {
    exchange.isSent = this.connection.send(exchange.text);
  }
}

const closed = clientError('client_closed', 'The client was closed.');

function stopError(status: ConnectionStatus, { code, reason, error }: StatusReason): SignalboxError {
  if (status === 'closed') return closed;
  if (status === 'unauthenticated')
    return clientError('not_authenticated', 'The server takes the credentials for invalid.', { status: 401 });
  return clientError('connection_stopped', `The connection was stopped: ${error ?? `${code} ${reason}`.trim()}.`);
}

/** Whatever is no frame of a stream is a frame of a route without streams, or none of ours. */
function unwrap(data: unknown): { stream: string | null; payload: Frame } {
  const frame = parse(data);
  return frame && typeof frame === 'object' && 'payload' in frame && 'stream' in frame
    ? (frame as { stream: string | null; payload: Frame })
    : { stream: null, payload: frame as Frame };
}

/** Binary data, and text that is no JSON, as they came. */
function parse(data: unknown): unknown {
  try {
    return JSON.parse(data as string);
  } catch {
    return data;
  }
}
