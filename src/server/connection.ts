import type { ConnectionCommand, RegisteredConnection } from '../authentication/connection-registry.js';
import { type Deadlines, machineDeadlines } from '../clock.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import {
  binaryFrameBytes,
  ConsumerSession,
  type SessionConnection,
  type SessionServices,
} from '../consumers/consumer-session.js';
import { Quotas } from '../consumers/quotas.js';
import { nearNames } from '../dispatch/near-names.js';
import { currentRequest, type Request } from '../dispatch/request.js';
import { type ApiError, ParseError, type ServerClosing, StreamClosed, StreamNotFound, Throttled } from '../errors.js';
import type { Observer } from '../observers/observer.js';
import type { Scope } from '../scope/scope.js';
import type { ScopeDisposer } from '../scope/scope-disposal.js';
import { CloseCode, closeCodeOf, toReason } from '../status.js';
import type { Counters } from '../telemetry.js';
import { decodeBinary, encodeBinary } from '../wire/binary.js';
import { addressOf, encodeFrame, encodeReply, errorReply, type JsonObject, readFrame } from '../wire/codec.js';
import { heapBytesOf } from '../wire/heap-bytes.js';
import type { Reply } from '../wire/messages.js';
import type { ConnectionState, WatchedHandshake } from './app-explorer.js';
import type { Backpressure } from './backpressure.js';
import { connectionState } from './connection-state.js';
import type { Admission } from './handshake.js';
import type { Heartbeat, Liveness, LivingConnection } from './heartbeat.js';
import { type InboundConnection, type InboundFlow, InboundFrames } from './inbound-frames.js';
import { OutboundFrames } from './outbound-frames.js';
import { type ConnectionSlot, ErrorRates } from './rate-limit.js';
import { type AuthorizedConnection, Reauthorization } from './reauthorization.js';
import type { CompiledRoute } from './router.js';
import type { FrameText, Transport, TransportListener } from './transport.js';

/** Services that all connections of an application share. */
export interface ConnectionServices extends SessionServices {
  readonly deadlines: Deadlines;
  readonly counters: Counters;
  readonly disposer: ScopeDisposer;
  readonly backpressure: Backpressure;
  readonly heartbeat: Heartbeat;
  readonly inboundFlow: InboundFlow;
}

export const restartText = 'The server is restarting.';

/** The least bytes that each sign of a JSON frame counts for in the rate of its address, because small values take longer to read. */
const bytesPerSign = 32;

/** The mark of the ping that follows the drain frame. */
const farewell = 'drain';

/**
 * One socket: it passes frames to the consumer of their stream, and ends everything that belongs to it. A frame without a valid stream is
 * answered with a frame. If a consumer cannot be built, each frame of its stream is answered with an error, and the other streams work.
 */
export class Connection
  implements
    TransportListener,
    InboundConnection,
    SessionConnection,
    RegisteredConnection,
    LivingConnection,
    AuthorizedConnection
{
  readonly route: CompiledRoute;
  readonly scope: Scope;
  readonly slot: ConnectionSlot;
  readonly liveness: Liveness = { slot: 0, isAwaited: false, heard: 0, frames: 0, changedAt: 0, openedAt: 0 };
  readonly outbound: OutboundFrames;
  /** Sessions by stream; on a route with one consumer, by undefined. */
  readonly #sessions = new Map<string | undefined, ConsumerSession>();
  #quotas: Quotas | undefined;
  /** Made at the first frame: a connection may only listen. */
  #inboundFrames: InboundFrames | undefined;
  /** Made at the first error. */
  #errorRates: ErrorRates | undefined;
  /** Made when a stream is refused, or when the permissions are asked again. */
  #reauthorization: Reauthorization | undefined;
  /** Streams that their consumers closed. */
  #closedStreams: Map<string, ApiError> | undefined;
  /** Resolves when events need not wait any more; undefined if they need not. */
  #held: Promise<void> | undefined;
  /** The consumers of streams whose permission refused later. */
  #revoked: Set<ConsumerSession> | undefined;
  #draining: ApiError | undefined;
  #isEnding = false;
  /** Whether frames of the client are ignored, because the socket is closing. */
  #isDeaf = false;
  /** Resolves when every frame has arrived that the client sent before it got the drain frame. */
  #heardOut: PromiseWithResolvers<void> | undefined;
  #closing: Promise<void> | undefined;
  /** Made when a caller awaits the end before it begins. */
  #closed: PromiseWithResolvers<void> | undefined;

  /**
   * @param ended called when all consumers and the container have ended
   * @param inspector the explorer, if it watches this connection
   */
  constructor(
    admission: Admission,
    private readonly transport: Transport,
    private readonly services: ConnectionServices,
    private readonly ended: (connection: Connection) => void,
    readonly inspector: WatchedHandshake | undefined = undefined,
  ) {
    this.route = admission.route;
    this.scope = admission.scope;
    this.slot = admission.slot;
    this.outbound = new OutboundFrames(transport, services.backpressure);
    if (admission.refused.size > 0) this.#reauthorization = this.#authorize(admission.refused);
  }

  /** Made with the first consumer: a client may only connect. */
  get quotas(): Quotas {
    this.#quotas ??= new Quotas(this.services.settings.limits, this.services.counters);
    return this.#quotas;
  }

  #authorize(refused: ReadonlyMap<string, ApiError>): Reauthorization {
    const { unitOfWork, errors, deadlines, settings, logger, counters } = this.services;
    return new Reauthorization(this, refused, unitOfWork, errors, deadlines, settings, logger, counters);
  }

  /** Opens the connection. A route's single consumer is built at once, a stream's at its first frame unless it is eager. */
  open(): void {
    const { consumers } = this.route;
    if (!(consumers instanceof Map)) this.#openAtOnce(undefined, consumers as CompiledConsumer);
    else
      for (const [stream, consumer] of consumers)
        if (consumer.options.eager && !this.#reauthorization?.refused.has(stream)) this.#openAtOnce(stream, consumer);
    this.transport.listen(this);
    if (this.slot.mustWait) this.#inbound.waitForAddress();
    this.services.heartbeat.opened(this);
    this.inspector?.opened(() => this.#inspect());
  }

  #inspect(): ConnectionState {
    const refused = this.#reauthorization?.refused.keys() ?? [];
    return connectionState(this.scope, this.#sessions, [...refused], this.services.settings);
  }

  /** Opens a consumer early. If it fails, it fails again at each frame, and is answered there. */
  #openAtOnce(stream: string | undefined, consumer: CompiledConsumer): void {
    try {
      this.#session(stream, consumer);
    } catch (thrown) {
      this.#translate(thrown);
    }
  }

  // Inbound frames

  onText(text: FrameText): void {
    this.#hear();
    this.#inbound.receiveText(text);
  }

  onBinary(data: Uint8Array): void {
    this.#hear();
    this.#inbound.receiveBinary(data);
  }

  onControl(bytes: number): void {
    this.#inbound.receiveControl(bytes);
  }

  onIgnored(bytes: number): void {
    this.#inbound.receiveIgnored(bytes);
  }

  /** A pong counts as a frame of the client, unless it answers a ping of the heartbeat. */
  onPong(mark?: string, bytes = 0): void {
    if (mark === farewell) this.#heardOut?.resolve();
    if (this.liveness.isAwaited) this.liveness.isAwaited = false;
    else this.onControl(bytes);
  }

  get #inbound(): InboundFrames {
    if (this.#inboundFrames) return this.#inboundFrames;
    this.#inboundFrames = new InboundFrames(this, this.transport, this.services.inboundFlow);
    if (this.#isDeaf) this.#inboundFrames.close();
    return this.#inboundFrames;
  }

  get isPaused(): boolean {
    return this.#inboundFrames?.isPaused ?? false;
  }

  get isClosed(): boolean {
    return this.#closing !== undefined;
  }

  paused(): void {
    this.liveness.isAwaited = false;
  }

  limitOfBinary(data: Uint8Array): string | undefined {
    return this.quotas.limitOfRequests(false, binaryFrameBytes(data));
  }

  handleText(data: FrameText, bytes: number, now: number): void {
    const { consumers } = this.route;
    const isMultiplexed = consumers instanceof Map;
    // Null while the stream is not known; undefined on a route without streams.
    let stream: string | null | undefined = isMultiplexed ? null : undefined;
    let payload: unknown;
    try {
      const tooMuch = this.#tooMuchOfUser(now);
      const { frame, refusal = tooMuch, signs, pong } = readFrame(textOf(data), this.services.settings.limits);
      if (signs * bytesPerSign > bytes) this.slot.chargeWork(signs * bytesPerSign - bytes, now);
      if (pong && !refusal && (isMultiplexed || !(consumers as CompiledConsumer).actions.has('ping'))) {
        this.#reply(pong, stream);
        return;
      }
      if (isMultiplexed) stream = typeof frame['stream'] === 'string' ? frame['stream'] : null;
      payload = isMultiplexed ? frame['payload'] : frame;
      if (refusal) throw refusal;
      const consumer = isMultiplexed ? this.#consumerOf(consumers, frame) : (consumers as CompiledConsumer);
      this.#route(
        stream ?? undefined,
        payload,
        this.#heldBytes(payload),
        (session) => session.receiveRequest(payload),
        consumer,
      );
    } catch (thrown) {
      this.#answerError(thrown, payload, stream);
    }
  }

  handleBinary(frame: Uint8Array): void {
    const { consumers, takesBinary } = this.route;
    if (!takesBinary) {
      this.refuse(CloseCode.unsupportedData, 'Text frames only.');
      return;
    }
    if (!(consumers instanceof Map)) {
      this.#routeBinary(frame, undefined, () => consumers as CompiledConsumer);
      return;
    }
    const named = decodeBinary(frame);
    this.#routeBinary(named?.data ?? frame, named?.stream ?? null, (stream) => {
      if (!named) throw new ParseError('A binary frame has to begin with the name of its stream.');
      const consumer = this.#consumerOf(consumers, { stream, payload: frame });
      if (!consumer.options.binary) throw new ParseError(`The stream "${stream}" accepts no binary frames.`);
      return consumer;
    });
  }

  #consumerOf(consumers: ReadonlyMap<string, CompiledConsumer>, frame: JsonObject): CompiledConsumer {
    const { development } = this.services.settings;
    return requireStream(consumers, frame, { refused: this.#reauthorization?.refused, development });
  }

  #routeBinary(
    data: Uint8Array,
    stream: string | null | undefined,
    find: (stream: string | null | undefined) => CompiledConsumer,
  ): void {
    try {
      this.#route(
        stream ?? undefined,
        undefined,
        data.byteLength,
        (session) => session.receiveBinary(data),
        find(stream),
      );
    } catch (thrown) {
      this.#answerError(thrown, undefined, stream);
    }
  }

  /** The refusal of a request above its user's rate; undefined if it is not above it. */
  #tooMuchOfUser(now: number): Throttled | undefined {
    const { messages } = this.slot;
    const retryAfter = messages?.take(1, now) ?? 0;
    if (retryAfter === 0) return undefined;
    this.services.counters.increment('signalbox.limits_reached', { limit: 'user_messages' });
    return new Throttled('Too many messages of one user.', { retryAfter });
  }

  /** Bytes of heap of a frame that has to be held; other frames are counted where they wait. */
  #heldBytes(payload: unknown): number {
    return this.#reauthorization?.isChecking ? heapBytesOf(payload) : 0;
  }

  #hear(): void {
    this.liveness.isAwaited = false;
    this.liveness.heard += 1;
  }

  /** Passes a frame to its consumer, after it is known whether the client may still be connected. */
  #route(
    stream: string | undefined,
    payload: unknown,
    bytes: number,
    receive: (session: ConsumerSession) => void,
    consumer: CompiledConsumer,
  ): void {
    if (!this.#reauthorization?.isChecking || this.#isEnding || this.#draining) {
      receive(this.#admit(stream, consumer));
      return;
    }
    this.#reauthorization.hold(() => {
      if (this.#isDeaf) return;
      try {
        this.#route(stream, payload, bytes, receive, consumer);
      } catch (thrown) {
        this.#answerError(thrown, payload, stream);
      }
    }, bytes);
  }

  /** @throws the error that refuses every frame of the stream */
  #admit(stream: string | undefined, consumer: CompiledConsumer): ConsumerSession {
    if (stream !== undefined) this.#reauthorization?.checkStream(stream);
    const refusal = this.#draining ?? (stream === undefined ? undefined : this.#closedStreams?.get(stream));
    if (refusal) throw refusal;
    return this.#session(stream, consumer);
  }

  #session(stream: string | undefined, consumer: CompiledConsumer): ConsumerSession {
    const existing = this.#sessions.get(stream);
    if (existing) return existing;
    const created = new ConsumerSession(consumer, this, this.services, stream);
    if (this.#held) created.holdEvents(this.#held);
    this.#sessions.set(stream, created);
    return created;
  }

  #answerError(thrown: unknown, payload: unknown, stream: string | null | undefined): void {
    const { requestIdLength } = this.services.settings.limits;
    const error = this.#translate(thrown);
    const reply = errorReply(error, addressOf(payload, requestIdLength));
    this.#reply(reply, stream);
    this.services.activity?.request(reply, stream ?? undefined, error);
  }

  // Outbound frames

  send(reply: Reply, stream: string | undefined, latest?: string): void {
    this.#reply(reply, stream, latest);
  }

  sendText(text: string, stream: string | undefined): void {
    this.outbound.send(encodeFrame(text, stream), undefined, text);
  }

  sendBinary(data: Uint8Array, stream: string | undefined): void {
    this.outbound.sendBinary(stream === undefined ? data : encodeBinary(stream, data));
  }

  get sent(): number {
    return this.outbound.sent;
  }

  ping(): void {
    this.transport.ping();
  }

  #reply(reply: Reply, stream: string | null | undefined, key?: string): void {
    const text = encodeReply(reply, stream);
    if (key === undefined) this.outbound.send(text, undefined, reply.data);
    else {
      const as = (action: string): string => encodeReply({ ...reply, action }, stream);
      this.outbound.send(text, { key, action: reply.action ?? '', as }, reply.data);
    }
    if (reply.code !== undefined) this.#noteError(reply.code);
  }

  /** Counts an error. A client that repeats mistakes, or stays above its rate, is closed. */
  #noteError(code: string): void {
    if (this.#isDeaf) return;
    const { settings, counters, clock } = this.services;
    this.#errorRates ??= new ErrorRates(settings.limits, counters);
    const closing = this.#errorRates.closing(code, clock.elapsed());
    if (closing) this.refuse(closing.code, closing.reason);
  }

  /** Whether the client is subscribed to one of these observers. */
  listensTo(isMeant: (observer: Observer) => boolean): boolean {
    return [...this.#sessions.values()].some(({ subscriptions }) =>
      subscriptions.all.some(({ observer }) => isMeant(observer)),
    );
  }

  /** Whether a gap of the channel layer concerns the connection. */
  get mayMissMessages(): boolean {
    return [...this.#sessions.values()].some(({ mayMissMessages }) => mayMissMessages);
  }

  // Users

  async switchUser(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.switchUser()));
  }

  async recheck(): Promise<void> {
    if (this.#isEnding) return;
    this.#reauthorization ??= this.#authorize(new Map());
    await this.#reauthorization.recheck();
  }

  /** Makes later events wait, also those of streams that are first used meanwhile. */
  holdEvents(until: Promise<void>): void {
    for (const session of this.#sessions.values()) session.holdEvents(until);
    const held = Promise.all([this.#held, until]).then(() => {
      if (this.#held === held) this.#held = undefined;
    });
    this.#held = held;
  }

  /** Ends the consumer of a stream. If the stream is granted again, it gets another consumer. */
  revokeStream(stream: string, refusal: ApiError): void {
    const session = this.#sessions.get(stream);
    if (!session) return;
    this.#sessions.delete(stream);
    void this.#endRevoked(session, refusal);
  }

  /** Ends a revoked consumer; the end of the connection waits until all its work has ended. */
  async #endRevoked(session: ConsumerSession, refusal: ApiError): Promise<void> {
    this.#revoked ??= new Set();
    this.#revoked.add(session);
    await Promise.allSettled([session.revoke(), session.close(closeCodeOf(refusal), refusal)]);
    await session.settledAll();
    this.#revoked.delete(session);
  }

  note(command: ConnectionCommand): void {
    for (const session of this.#sessions.values())
      for (const request of session.runningRequests) commandsSince(request).push(command);
  }

  commandsMeanwhile(): readonly ConnectionCommand[] {
    const request = this.#requestUnderWay;
    return request ? commandsSince(request) : [];
  }

  afterRequest(work: (hasSucceeded: boolean) => void): void {
    const request = this.#requestUnderWay;
    if (request) request.whenAnswered(work);
    else work(true);
  }

  own<T>(work: Promise<T>): Promise<T> {
    return this.#requestUnderWay?.own(work) ?? work;
  }

  requireRequest(): void {
    const request = currentRequest();
    if (request?.scope === this.scope) request.requireUnderWay();
  }

  get #requestUnderWay(): Request | undefined {
    const request = currentRequest();
    return request?.scope === this.scope && !request.isOver ? request : undefined;
  }

  // End

  async end(reason: ApiError, code: number): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    // Requests have until the time limit to be answered; the events of later commits are not the client's any more.
    for (const session of this.#sessions.values()) session.endEvents(reason);
    const { settings, deadlines } = this.services;
    await deadlines.settles(this.abort(reason), settings.closeTimeout);
    this.close(code, toReason(reason.message));
  }

  /** Answers waiting, running and later requests with the reason. Resolves when all of them are answered. */
  async abort(reason: ApiError): Promise<void> {
    this.#turnAway(reason);
    await Promise.all([...this.#sessions.values()].map((session) => session.abort(reason)));
  }

  /** Asks the client to reconnect elsewhere, and ends when running requests are answered, or answers them with 503 after this time. */
  async drain(reason: ServerClosing, time: number): Promise<void> {
    const { deadlines, settings } = this.services;
    this.#turnAway(reason);
    const isMultiplexed = this.route.consumers instanceof Map;
    const told = errorReply(reason, { action: 'drain', requestId: null });
    this.outbound.send(encodeReply(told, isMultiplexed ? null : undefined));
    const answered = Promise.all([...this.#sessions.values()].map((session) => session.answeredAll()));
    const heardOut = deadlines.settles(this.#hearOut(), Math.min(time, settings.closeTimeout));
    await deadlines.settles(answered, time);
    await heardOut;
    await this.abort(reason);
    await this.outbound.flushed();
    this.close(CloseCode.restart, restartText);
    await this.closed;
  }

  /** Waits for frames that were on their way when the drain frame left: they arrive before the pong to a ping that follows it. */
  async #hearOut(): Promise<void> {
    this.#heardOut = Promise.withResolvers();
    await this.outbound.flushed();
    this.transport.ping(farewell);
    if (!this.#closing) await this.#heardOut.promise;
  }

  /** Answers every later request with this reason, including those that wait for a check. */
  #turnAway(reason: ApiError): void {
    this.#draining = reason;
    this.#reauthorization?.release();
  }

  /** Closes a stream, while the others stay open. The client gets one frame at once, and one for each frame that it still sends there. */
  closeStream(stream: string | undefined, code: number, reason: string): void {
    if (stream === undefined) {
      this.close(code, reason);
      return;
    }
    if (this.#closedStreams?.has(stream)) return;
    const told = new StreamClosed(`This stream was closed with code ${code}${reason && ` (${reason})`}.`);
    this.#closedStreams ??= new Map();
    this.#closedStreams.set(stream, told);
    void this.#sessions.get(stream)?.close(code, told);
    this.outbound.send(encodeReply(errorReply(told, addressOf(undefined)), stream));
  }

  /** Begins the closing handshake. Later frames of the client are ignored. */
  close(code: number, reason: string): void {
    this.#isDeaf = true;
    this.#inboundFrames?.close();
    this.outbound.close(code, reason);
  }

  refuse(code: number, reason: string): void {
    this.services.logger.info('A connection was closed.', { path: this.scope.path, code, reason });
    this.close(code, reason);
  }

  terminate(): void {
    this.transport.terminate();
  }

  onClose(code: number): void {
    this.#isDeaf = true;
    this.#inboundFrames?.end();
    this.outbound.end();
    this.#heardOut?.resolve();
    this.#closing ??= this.#endAll(code).finally(() => {
      this.ended(this);
      this.inspector?.closed();
      this.#closed?.resolve();
    });
  }

  /** Resolves when the connection has ended and released everything. */
  get closed(): Promise<void> {
    if (this.#closing) return this.#closing;
    this.#closed ??= Promise.withResolvers();
    return this.#closed.promise;
  }

  /** Resolves when every event that arrived has been delivered, and handed to the socket. */
  async idle(): Promise<void> {
    await Promise.all([...this.#sessions.values()].map((session) => session.idle()));
    this.outbound.flush();
  }

  async #endAll(code: number): Promise<void> {
    const sessions = [...this.#sessions.values(), ...(this.#revoked ?? [])];
    await Promise.allSettled(sessions.map((session) => session.close(code)));
    await this.#awaitAbandoned(sessions);
    await this.services.disposer.dispose(this.scope);
  }

  /** Waits, with a limit, for abandoned work that ignores its signal, so that it still finds its providers. */
  async #awaitAbandoned(sessions: readonly ConsumerSession[]): Promise<void> {
    const { logger, settings } = this.services;
    const running = sessions.flatMap((session) => session.settledAll() ?? []);
    if (running.length === 0) return;
    const ended = Promise.all(running);
    if (await machineDeadlines.settles(ended, settings.closeTimeout)) return;
    const { path } = this.scope;
    logger.warn('Work of a connection continues after its end: observe context.signal.', { path });
  }

  #translate(thrown: unknown): ApiError {
    return this.services.errors.translate(thrown, { path: this.scope.path });
  }
}

function textOf(data: FrameText): string {
  if (typeof data === 'string') return data;
  return (Buffer.isBuffer(data) ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength)).toString();
}

/** @throws ParseError without a stream and a payload; StreamNotFound, which in development lists similar names */
function requireStream(
  consumers: ReadonlyMap<string, CompiledConsumer>,
  { stream, payload }: JsonObject,
  {
    refused,
    development,
  }: { readonly refused?: ReadonlyMap<string, ApiError> | undefined; readonly development: boolean },
): CompiledConsumer {
  if (typeof stream !== 'string' || payload === undefined)
    throw new ParseError('A frame has to have a stream and a payload.');
  const consumer = consumers.get(stream);
  if (consumer) return consumer;
  const open = [...consumers.keys()].filter((name) => !refused?.has(name));
  throw StreamNotFound.named(stream, open, development ? nearNames(stream, open) : []);
}

/** The commands since the request began. */
function commandsSince(request: Request): ConnectionCommand[] {
  request.commandsMeanwhile ??= [];
  return request.commandsMeanwhile;
}
