import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import type { ErrorTranslator } from '../dispatch/error-translator.js';
import { type ApiError, ParseError, StreamNotFound, type Throttled } from '../errors.js';
import { CloseCode } from '../status.js';
import { addressOf, errorReply, type JsonObject, readFrame } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import type { AdmissionWithPlace } from './admit.js';
import { type MessageLimitParts, MessageLimits } from './message-limits.js';
import { pongTo } from './ping.js';

export interface InboundFrameParts extends MessageLimitParts {
  readonly errors: ErrorTranslator;
}

/** Where frames lead. What the first two throw is answered. */
export interface FrameReceiver {
  receive(stream: string, consumer: CompiledConsumer, payload: unknown): void;
  receiveBinary(consumer: CompiledConsumer, data: Uint8Array): void;
  /**
   * Not before it is known whether the client may still be here.
   *
   * @throws Throttled where too much waits for that
   */
  whenChecked(work: () => void): void;
  /** @param stream null if it is not known, undefined on a route without streams */
  reply(reply: Reply, stream: string | null | undefined): void;
  /** Closes: the client broke a rule. */
  refuse(code: number, reason: string): void;
}

/** Marks the one consumer of a route without streams. */
export const only = '';

/** What comes out of one socket: each frame is held against the limits, read, and led to its consumer, or answered. */
export class InboundFrames {
  readonly #admission: AdmissionWithPlace;
  readonly #parts: InboundFrameParts;
  readonly #receiver: FrameReceiver;
  readonly #limits: MessageLimits;

  constructor(admission: AdmissionWithPlace, parts: InboundFrameParts, receiver: FrameReceiver) {
    this.#admission = admission;
    this.#parts = parts;
    this.#receiver = receiver;
    this.#limits = new MessageLimits(parts);
  }

  receiveText(text: string): void {
    const { consumers } = this.#admission.route;
    const isMultiplexed = consumers instanceof Map;
    const tooMuch = this.#refusal(Buffer.byteLength(text));
    this.#answering(isMultiplexed ? null : undefined, undefined, () => {
      const { frame, refusal = tooMuch } = readFrame(text, this.#parts.settings.limits);
      const pong = refusal ? undefined : pongTo(frame, consumers);
      if (pong) this.#receiver.reply(pong, isMultiplexed ? null : undefined);
      else if (isMultiplexed) this.#receiveInStream(frame, consumers, refusal);
      else this.#receiveAlone(frame, consumers as CompiledConsumer, refusal);
    });
  }

  receiveBinary(data: Uint8Array): void {
    const { consumers } = this.#admission.route;
    if (consumers instanceof Map || !(consumers as CompiledConsumer).options.binary) {
      this.#receiver.refuse(CloseCode.unsupportedData, 'Text frames only.');
      return;
    }
    const tooMuch = this.#refusal(data.byteLength);
    this.#answering(undefined, undefined, () => {
      if (tooMuch) throw tooMuch;
      this.#whenChecked(undefined, undefined, () => this.#receiver.receiveBinary(consumers as CompiledConsumer, data));
    });
  }

  /** A ping or pong, which the transport answers; one too many counts like a frame that is refused. */
  receiveControl(bytes: number): void {
    this.noteReply(this.#refusal(bytes)?.code);
  }

  /** Whoever sends mistake upon mistake, or does not heed that it is too much, is not heard any longer. */
  noteReply(code: string | undefined): void {
    const closing = this.#limits.closing(code);
    if (closing) this.#receiver.refuse(closing.code, closing.reason);
  }

  #refusal(bytes: number): Throttled | undefined {
    return this.#limits.refusal(bytes, this.#admission.place.messages);
  }

  #receiveAlone(frame: JsonObject, consumer: CompiledConsumer, refusal: ApiError | undefined): void {
    this.#answering(undefined, frame, () => {
      if (refusal) throw refusal;
      this.#whenChecked(undefined, frame, () => this.#receiver.receive(only, consumer, frame));
    });
  }

  #receiveInStream(
    { stream, payload }: JsonObject,
    consumers: ReadonlyMap<string, CompiledConsumer>,
    refusal: ApiError | undefined,
  ): void {
    const name = typeof stream === 'string' ? stream : null;
    this.#answering(name, payload, () => {
      if (refusal) throw refusal;
      if (name === null || payload === undefined) throw new ParseError('A frame has to have a stream and a payload.');
      const consumer = consumers.get(name);
      if (!consumer) throw new StreamNotFound(`No stream "${name}". There are: ${[...consumers.keys()].join(', ')}.`);
      this.#whenChecked(name, payload, () => this.#receiver.receive(name, consumer, payload));
    });
  }

  #whenChecked(stream: string | undefined, payload: unknown, work: () => void): void {
    this.#receiver.whenChecked(() => this.#answering(stream, payload, work));
  }

  #answering(stream: string | null | undefined, payload: unknown, work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const { errors, settings } = this.#parts;
      const error = errors.translate(thrown, { path: this.#admission.scope.path });
      this.#receiver.reply(errorReply(error, addressOf(payload, settings.limits.requestIdLength)), stream);
    }
  }
}
