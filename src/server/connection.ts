import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { type ChannelParts, ConsumerChannel } from '../consumers/consumer-channel.js';
import { type ApiError, ParseError, PermissionDenied, StreamNotFound } from '../errors.js';
import { CloseCode } from '../status.js';
import { addressOf, decodeObject, encodeReply, errorReply, type JsonObject } from '../wire/codec.js';
import type { Admission } from './handshake.js';
import type { Transport } from './transport.js';

export type ConnectionParts = Omit<ChannelParts, 'scope' | 'send'>;

/** Marks the one consumer of a route without streams. */
const only = '';

/**
 * One socket: its frames go to the consumer of their stream, and everything ends with it. A frame that leads nowhere is
 * answered with a frame; a consumer that cannot be built answers each frame of its stream with an error, and the others
 * live.
 */
export class Connection {
  readonly #admission: Admission;
  readonly #transport: Transport;
  readonly #parts: ConnectionParts;
  readonly #channels = new Map<string, ConsumerChannel>();
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
    this.#transport = transport;
    this.#parts = parts;
    this.#closed.promise.then(() => gone(this));
  }

  /** A route's one consumer is built at once, a stream's at its first frame. */
  open(): void {
    const { consumers } = this.#admission.route;
    if (!(consumers instanceof Map)) this.#open(consumers as CompiledConsumer);
    this.#transport.listen({
      onText: (text) => this.#receive(text),
      onBinary: () => this.#transport.close(CloseCode.unsupportedData, 'Text frames only.'),
      onClose: (code) => this.#end(code),
    });
  }

  /** Resolves when nothing of the connection is left. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Resolves when every event that arrived has been delivered. */
  async idle(): Promise<void> {
    await Promise.all([...this.#channels.values()].map((channel) => channel.idle()));
  }

  /** Answers what runs and waits with the reason, and whatever still comes; resolves when all of it is answered. */
  async abort(reason: ApiError): Promise<void> {
    await Promise.all([...this.#channels.values()].map((channel) => channel.abort(reason)));
  }

  close(code: number, reason: string): void {
    this.#transport.close(code, reason);
  }

  terminate(): void {
    this.#transport.terminate();
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
    if (this.#closing) return;
    const { consumers } = this.#admission.route;
    const isMultiplexed = consumers instanceof Map;
    this.#answering(isMultiplexed ? null : undefined, undefined, () => {
      const frame = decodeObject(text);
      if (isMultiplexed) this.#receiveInStream(frame, consumers);
      else this.#answering(undefined, frame, () => this.#channel(only, consumers as CompiledConsumer).receive(frame));
    });
  }

  #receiveInStream({ stream, payload }: JsonObject, consumers: ReadonlyMap<string, CompiledConsumer>): void {
    const name = typeof stream === 'string' ? stream : null;
    this.#answering(name, payload, () => {
      if (name === null || payload === undefined) throw new ParseError('A frame has to have a stream and a payload.');
      const consumer = consumers.get(name);
      if (!consumer) throw new StreamNotFound(`No stream "${name}". There are: ${[...consumers.keys()].join(', ')}.`);
      if (this.#admission.refused.has(name)) throw new PermissionDenied();
      this.#channel(name, consumer).receive(payload);
    });
  }

  #channel(stream: string, compiled: CompiledConsumer): ConsumerChannel {
    const existing = this.#channels.get(stream);
    if (existing) return existing;
    const envelope = stream === only ? undefined : stream;
    const { scope } = this.#admission;
    const created = new ConsumerChannel(compiled, {
      ...this.#parts,
      scope,
      send: (reply) => this.#transport.send(encodeReply(reply, envelope)),
    });
    this.#channels.set(stream, created);
    return created;
  }

  /** @param stream of the frame that tells of a failure: null if it is not known, undefined on a route without streams */
  #answering(stream: string | null | undefined, payload: unknown, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      this.#transport.send(encodeReply(errorReply(this.#translate(thrown), addressOf(payload)), stream));
    }
  }

  #translate(thrown: unknown): ApiError {
    return this.#parts.errors.translate(thrown, { path: this.#admission.scope.path });
  }

  #end(code: number): void {
    this.#closing ??= this.#endAll(code).finally(() => this.#closed.resolve());
  }

  async #endAll(code: number): Promise<void> {
    await Promise.allSettled([...this.#channels.values()].map((channel) => channel.close(code)));
    try {
      await this.#admission.scope.container.dispose();
    } catch (error) {
      this.#parts.logger.error('A provider of a connection could not be disposed.', {
        path: this.#admission.scope.path,
        error,
      });
    }
  }
}
