import type { Clock } from '../clock.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { type ChannelParts, ConsumerChannel } from '../consumers/consumer-channel.js';
import type { ConsumerSocket } from '../consumers/reach.js';
import { type ApiError, ParseError, type ServerClosing, StreamClosed, StreamNotFound } from '../errors.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import { CloseCode } from '../status.js';
import { addressOf, decodeObject, encodeReply, errorReply, type JsonObject } from '../wire/codec.js';
import { streamSocket, wholeSocket } from './client-sockets.js';
import { restartText } from './drain.js';
import type { Admission } from './handshake.js';
import type { Heartbeat } from './heartbeat.js';
import { Outbound } from './outbound.js';
import type { OutboundTraffic } from './outbound-traffic.js';
import { pongTo } from './ping.js';
import { settledWithin } from './settled-within.js';
import { Standing, type StandingParts } from './standing.js';
import type { Transport, TransportListener } from './transport.js';

export interface ConnectionParts extends Omit<ChannelParts, 'scope' | 'socket'>, StandingParts {
  readonly disposer: ScopeDisposer;
  readonly clock: Clock;
  readonly traffic: OutboundTraffic;
  readonly heartbeat: Heartbeat;
}

/** Marks the one consumer of a route without streams. */
const only = '';

/**
 * One socket: its frames go to the consumer of their stream, and everything ends with it. A frame that leads nowhere is
 * answered with a frame; a consumer that cannot be built answers each frame of its stream with an error, and the others
 * live.
 */
export class Connection {
  readonly #admission: Admission;
  readonly standing: Standing;
  readonly #outbound: Outbound;
  readonly #parts: ConnectionParts;
  readonly #channels = new Map<string, ConsumerChannel>();
  /** Streams that their consumers closed. */
  readonly #gone = new Map<string, ApiError>();
  #draining: ApiError | undefined;
  #isDeaf = false;
  #closing: Promise<void> | undefined;
  readonly #closed = Promise.withResolvers<void>();

  /** @param gone told once all consumers and the container have ended */
  constructor(
    admission: Admission,
    transport: Transport,
    parts: ConnectionParts,
    gone: (connection: Connection) => void,
  ) {
    this.#admission = admission;
    this.#outbound = new Outbound(transport, parts.traffic);
    this.#parts = parts;
    const standee = {
      channels: this.#channels,
      drain: (reason: ApiError) => this.drain(reason),
      close: (code: number, reason: string) => this.close(code, reason),
    };
    this.standing = new Standing(admission, standee, parts);
    this.#closed.promise.then(() => gone(this));
  }

  /** A route's one consumer is built at once, a stream's at its first frame. */
  open(): void {
    const { consumers } = this.#admission.route;
    if (!(consumers instanceof Map)) this.#open(consumers as CompiledConsumer);
    const listener: TransportListener = {
      onText: (text) => this.standing.whenChecked(() => this.#receive(text)),
      onBinary: (data) => this.standing.whenChecked(() => this.#receiveBinary(data)),
      onClose: (code) => this.#end(code),
    };
    this.#outbound.listen(this.#parts.heartbeat.follow(this.#outbound, listener));
  }

  /** Resolves when nothing of the connection is left. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Resolves when every event that arrived has been delivered. */
  async idle(): Promise<void> {
    await Promise.all([...this.#channels.values()].map((channel) => channel.idle()));
  }

  /** Answers what waits and runs, and whatever still comes, with the reason. Resolves when all of it is answered. */
  async drain(reason: ApiError): Promise<void> {
    this.#draining = reason;
    await Promise.all([...this.#channels.values()].map((channel) => channel.abort(reason)));
  }

  /** Tells the client to come back elsewhere, and ends once what is under way is answered, or answers 503 after this time. */
  async leave(reason: ServerClosing, time: number): Promise<void> {
    const { clock } = this.#parts;
    this.#draining = reason;
    const isMultiplexed = this.#admission.route.consumers instanceof Map;
    const told = errorReply(reason, { action: 'drain', requestId: null });
    this.#outbound.send(encodeReply(told, isMultiplexed ? null : undefined));
    const answered = Promise.all([...this.#channels.values()].map((channel) => channel.answered()));
    await settledWithin(answered, time, clock);
    await this.drain(reason);
    await this.#outbound.flushed();
    this.close(CloseCode.restart, restartText);
    await this.closed;
  }

  /** Begins the closing handshake. Whatever the client still says is not heard. */
  close(code: number, reason: string): void {
    this.#isDeaf = true;
    this.#outbound.close(code, reason);
  }

  terminate(): void {
    this.#outbound.terminate();
  }

  /** What fails here fails again at each frame, and is answered there. */
  #open(consumer: CompiledConsumer): void {
    try {
      this.#channel(only, consumer);
    } catch (thrown) {
      this.#translate(thrown);
    }
  }

  #receive(text: string): void {
    if (this.#isDeaf || this.#closing) return;
    const { consumers } = this.#admission.route;
    const isMultiplexed = consumers instanceof Map;
    this.#answering(isMultiplexed ? null : undefined, undefined, () => {
      const frame = decodeObject(text);
      const pong = pongTo(frame, consumers);
      if (pong) this.#outbound.send(encodeReply(pong, isMultiplexed ? null : undefined));
      else if (isMultiplexed) this.#receiveInStream(frame, consumers);
      else this.#answering(undefined, frame, () => this.#receiveIn(only, consumers as CompiledConsumer, frame));
    });
  }

  #receiveInStream({ stream, payload }: JsonObject, consumers: ReadonlyMap<string, CompiledConsumer>): void {
    const name = typeof stream === 'string' ? stream : null;
    this.#answering(name, payload, () => {
      if (name === null || payload === undefined) throw new ParseError('A frame has to have a stream and a payload.');
      const consumer = consumers.get(name);
      if (!consumer) throw new StreamNotFound(`No stream "${name}". There are: ${[...consumers.keys()].join(', ')}.`);
      this.standing.check(name);
      this.#receiveIn(name, consumer, payload);
    });
  }

  #receiveBinary(data: Uint8Array): void {
    if (this.#isDeaf || this.#closing) return;
    const { consumers } = this.#admission.route;
    if (consumers instanceof Map || !(consumers as CompiledConsumer).options.binary) {
      this.close(CloseCode.unsupportedData, 'Text frames only.');
      return;
    }
    this.#answering(undefined, undefined, () => {
      if (this.#draining) throw this.#draining;
      this.#channel(only, consumers as CompiledConsumer).receiveBinary(data);
    });
  }

  #receiveIn(stream: string, consumer: CompiledConsumer, payload: unknown): void {
    const refusal = this.#draining ?? this.#gone.get(stream);
    if (refusal) throw refusal;
    this.#channel(stream, consumer).receive(payload);
  }

  #channel(stream: string, compiled: CompiledConsumer): ConsumerChannel {
    const existing = this.#channels.get(stream);
    if (existing) return existing;
    const { scope } = this.#admission;
    const socket = this.#socketOf(stream, compiled);
    const created = new ConsumerChannel(compiled, { ...this.#parts, scope, socket });
    this.#channels.set(stream, created);
    return created;
  }

  #socketOf(stream: string, { consumer }: CompiledConsumer): ConsumerSocket {
    if (stream === only) return wholeSocket(this.#outbound, (code, reason) => this.close(code, reason));
    return streamSocket(this.#outbound, stream, consumer, (code, reason) => this.#closeStream(stream, code, reason));
  }

  /** The others live. Its client is told at once, and again at whatever it still sends there. */
  #closeStream(stream: string, code: number, reason: string): void {
    if (this.#gone.has(stream)) return;
    const told = new StreamClosed(`This stream was closed with code ${code}${reason && ` (${reason})`}.`);
    this.#gone.set(stream, told);
    void this.#channels.get(stream)?.close(code, told);
    this.#outbound.send(encodeReply(errorReply(told, addressOf(undefined)), stream));
  }

  /** @param stream of the frame that tells of a failure: null if it is not known, undefined on a route without streams */
  #answering(stream: string | null | undefined, payload: unknown, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#outbound.send(encodeReply(errorReply(this.#translate(thrown), addressOf(payload)), stream));
    }
  }

  #translate(thrown: unknown): ApiError {
    return this.#parts.errors.translate(thrown, { path: this.#admission.scope.path });
  }

  #end(code: number): void {
    this.#closing ??= this.#endAll(code).finally(() => this.#closed.resolve());
  }

  async #endAll(code: number): Promise<void> {
    const channels = [...this.#channels.values(), ...this.standing.revoked];
    await Promise.allSettled(channels.map((channel) => channel.close(code)));
    await this.#awaitAbandoned(channels);
    await this.#parts.disposer.dispose(this.#admission.scope);
  }

  /** Work that heeds its signal has ended; what does not is waited for, so that it finds its providers, but not for ever. */
  async #awaitAbandoned(channels: readonly ConsumerChannel[]): Promise<void> {
    const { logger, settings } = this.#parts;
    const ended = Promise.all(channels.map((channel) => channel.settled()));
    if (await settledWithin(ended, settings.closeTimeout)) return;
    const { path } = this.#admission.scope;
    logger.warn('Work of a connection goes on behind its end: heed context.signal.', { path });
  }
}
