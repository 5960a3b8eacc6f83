import type { Clock } from '../clock.js';
import { Ceilings } from '../consumers/ceilings.js';
import type { ChannelServices } from '../consumers/channel-parts.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { ConsumerChannel } from '../consumers/consumer-channel.js';
import { type ApiError, type ServerClosing, StreamClosed } from '../errors.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import { CloseCode } from '../status.js';
import { addressOf, encodeReply, errorReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import type { AdmissionWithPlace } from './admit.js';
import { type SocketOwner, StreamSocket, WholeSocket } from './client-sockets.js';
import { restartText } from './drain.js';
import type { Heartbeat } from './heartbeat.js';
import { type FrameReceiver, type InboundFrameParts, InboundFrames, only } from './inbound-frames.js';
import { Outbound } from './outbound.js';
import type { OutboundTraffic } from './outbound-traffic.js';
import { machineClock, settledWithin } from './settled-within.js';
import { type Standee, Standing, type StandingParts } from './standing.js';
import type { Transport, TransportListener } from './transport.js';

export interface ConnectionParts extends ChannelServices, InboundFrameParts, StandingParts {
  readonly disposer: ScopeDisposer;
  readonly clock: Clock;
  readonly traffic: OutboundTraffic;
  readonly heartbeat: Heartbeat;
}

/** Marks the ping behind the frame that tells a client to leave. */
const farewell = 'drain';

/**
 * One socket: its frames go to the consumer of their stream, and everything ends with it. A frame that leads nowhere is
 * answered with a frame; a consumer that cannot be built answers each frame of its stream with an error, and the others
 * live.
 */
export class Connection implements TransportListener, FrameReceiver, SocketOwner, Standee {
  readonly #admission: AdmissionWithPlace;
  readonly standing: Standing;
  readonly outbound: Outbound;
  readonly channels = new Map<string, ConsumerChannel>();
  readonly ceilings: Ceilings;
  readonly #parts: ConnectionParts;
  /** Streams that their consumers closed. */
  #gone: Map<string, ApiError> | undefined;
  readonly #frames: InboundFrames;
  #draining: ApiError | undefined;
  /** Resolved once everything has arrived that the client sent before it was told to leave. */
  #heardOut: PromiseWithResolvers<void> | undefined;
  #isDeaf = false;
  #closing: Promise<void> | undefined;
  /** Made when somebody waits for the end before it begins. */
  #closed: PromiseWithResolvers<void> | undefined;
  readonly #ended: (connection: Connection) => void;

  /** @param ended told once all consumers and the container have ended */
  constructor(
    admission: AdmissionWithPlace,
    transport: Transport,
    parts: ConnectionParts,
    ended: (connection: Connection) => void,
  ) {
    this.#admission = admission;
    this.outbound = new Outbound(transport, parts.traffic);
    this.#parts = parts;
    this.#frames = new InboundFrames(admission, parts, this);
    this.ceilings = new Ceilings(parts);
    this.standing = new Standing(admission, this, parts);
    this.#ended = ended;
  }

  /** A route's one consumer is built at once, a stream's at its first frame. */
  open(): void {
    const { consumers } = this.#admission.route;
    if (!(consumers instanceof Map)) this.#open(consumers as CompiledConsumer);
    this.outbound.listen(this.#parts.heartbeat.follow(this.outbound, this));
  }

  onText(text: string): void {
    if (this.#isHeard) this.#frames.receiveText(text);
  }

  onBinary(data: Uint8Array): void {
    if (this.#isHeard) this.#frames.receiveBinary(data);
  }

  onPong(mark?: string): void {
    if (mark === farewell) this.#heardOut?.resolve();
  }

  onControl(bytes: number): void {
    if (this.#isHeard) this.#frames.receiveControl(bytes);
  }

  onClose(code: number): void {
    this.outbound.end();
    this.#heardOut?.resolve();
    this.#closing ??= this.#endAll(code).finally(() => {
      this.#ended(this);
      this.#closed?.resolve();
    });
  }

  /** Resolves when nothing of the connection is left. */
  get closed(): Promise<void> {
    if (this.#closing) return this.#closing;
    this.#closed ??= Promise.withResolvers();
    return this.#closed.promise;
  }

  /** Resolves when every event that arrived has been delivered. */
  async idle(): Promise<void> {
    await Promise.all([...this.channels.values()].map((channel) => channel.idle()));
  }

  /** Answers what waits and runs, and whatever still comes, with the reason. Resolves when all of it is answered. */
  async drain(reason: ApiError): Promise<void> {
    this.#turnAway(reason);
    await Promise.all([...this.channels.values()].map((channel) => channel.abort(reason)));
  }

  /** Tells the client to come back elsewhere, and ends once what is under way is answered, or answers 503 after this time. */
  async leave(reason: ServerClosing, time: number): Promise<void> {
    const { clock, settings } = this.#parts;
    this.#turnAway(reason);
    const isMultiplexed = this.#admission.route.consumers instanceof Map;
    const told = errorReply(reason, { action: 'drain', requestId: null });
    this.outbound.send(encodeReply(told, isMultiplexed ? null : undefined));
    const answered = Promise.all([...this.channels.values()].map((channel) => channel.answered()));
    const heardOut = settledWithin(this.#hearOut(), Math.min(time, settings.closeTimeout), clock);
    await settledWithin(answered, time, clock);
    await heardOut;
    await this.drain(reason);
    await this.outbound.flushed();
    this.close(CloseCode.restart, restartText);
    await this.closed;
  }

  /** What was under way when the client was told to leave arrives before its answer to a ping that follows. */
  async #hearOut(): Promise<void> {
    this.#heardOut = Promise.withResolvers();
    await this.outbound.flushed();
    this.outbound.ping(farewell);
    if (!this.#closing) await this.#heardOut.promise;
  }

  /** Begins the closing handshake. Whatever the client still says is not heard. */
  close(code: number, reason: string): void {
    this.#isDeaf = true;
    this.outbound.close(code, reason);
  }

  refuse(code: number, reason: string): void {
    this.#parts.logger.info('A connection was closed.', { path: this.#admission.scope.path, code, reason });
    this.close(code, reason);
  }

  /** From now on every request is answered so; those that wait for a check need not wait for it. */
  #turnAway(reason: ApiError): void {
    this.#draining = reason;
    this.standing.release();
  }

  terminate(): void {
    this.outbound.terminate();
  }

  get #isHeard(): boolean {
    return !this.#isDeaf && !this.#closing;
  }

  /** What fails here fails again at each frame, and is answered there. */
  #open(consumer: CompiledConsumer): void {
    try {
      this.#channel(only, consumer);
    } catch (thrown) {
      this.#translate(thrown);
    }
  }

  receive(stream: string, consumer: CompiledConsumer, payload: unknown): void {
    this.standing.check(stream);
    const refusal = this.#draining ?? this.#gone?.get(stream);
    if (refusal) throw refusal;
    this.#channel(stream, consumer).receive(payload);
  }

  receiveBinary(consumer: CompiledConsumer, data: Uint8Array): void {
    if (this.#draining) throw this.#draining;
    this.#channel(only, consumer).receiveBinary(data);
  }

  whenChecked(work: () => void): void {
    this.standing.whenChecked(() => this.#isHeard && work());
  }

  #channel(stream: string, compiled: CompiledConsumer): ConsumerChannel {
    const existing = this.channels.get(stream);
    if (existing) return existing;
    const { scope } = this.#admission;
    const socket = stream === only ? new WholeSocket(this) : new StreamSocket(this, stream, compiled.consumer);
    const created = new ConsumerChannel(compiled, this.#parts, { scope, socket, ceilings: this.ceilings });
    this.channels.set(stream, created);
    return created;
  }

  /** The others live. Its client is told at once, and again at whatever it still sends there. */
  closeStream(stream: string, code: number, reason: string): void {
    if (this.#gone?.has(stream)) return;
    const told = new StreamClosed(`This stream was closed with code ${code}${reason && ` (${reason})`}.`);
    this.#gone ??= new Map();
    this.#gone.set(stream, told);
    void this.channels.get(stream)?.close(code, told);
    this.outbound.send(encodeReply(errorReply(told, addressOf(undefined)), stream));
  }

  reply(reply: Reply, stream?: string | null): void {
    this.outbound.send(encodeReply(reply, stream));
    this.noteReply(reply);
  }

  noteReply({ code }: Reply): void {
    if (this.#isHeard) this.#frames.noteReply(code);
  }

  #translate(thrown: unknown): ApiError {
    return this.#parts.errors.translate(thrown, { path: this.#admission.scope.path });
  }

  async #endAll(code: number): Promise<void> {
    const channels = [...this.channels.values(), ...this.standing.revoked];
    await Promise.allSettled(channels.map((channel) => channel.close(code)));
    await this.#awaitAbandoned(channels);
    await this.#parts.disposer.dispose(this.#admission.scope);
  }

  /** Work that heeds its signal has ended; what does not is waited for, so that it finds its providers, but not for ever. */
  async #awaitAbandoned(channels: readonly ConsumerChannel[]): Promise<void> {
    const { logger, settings } = this.#parts;
    const ended = Promise.all(channels.map((channel) => channel.settled()));
    if (await settledWithin(ended, settings.closeTimeout, machineClock)) return;
    const { path } = this.#admission.scope;
    logger.warn('Work of a connection goes on behind its end: heed context.signal.', { path });
  }
}
