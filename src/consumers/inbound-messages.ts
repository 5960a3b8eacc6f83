import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import type { Logger } from '../logger.js';

export interface InboundMessageParts {
  readonly consumer: object;
  /** The methods that take messages, by type. */
  readonly messages: ReadonlyMap<string, string>;
  /** Runs in line with the requests; never rejects. */
  readonly inLine: (work: () => Promise<void> | void) => Promise<void>;
  readonly logger: Logger;
}

type Handler = (message: ChannelMessage) => Promise<void> | void;

/** Messages from the channel layer -> the methods of one consumer that take them. */
export class InboundMessages {
  readonly #parts: InboundMessageParts;
  #last = Promise.resolve();
  #waiting = 0;

  constructor(parts: InboundMessageParts) {
    this.#parts = parts;
  }

  receive(message: ChannelMessage): void {
    const { consumer, messages, inLine, logger } = this.#parts;
    const { type } = message;
    const member = messages.get(type);
    if (member === undefined) {
      logger.warn('A message of a type that its consumer does not take was dropped.', {
        consumer: consumer.constructor.name,
        type,
      });
      return;
    }
    const handler: Handler = Reflect.get(consumer, member);
    this.#waiting += 1;
    this.#last = inLine(() => handler.call(consumer, message)).finally(() => {
      this.#waiting -= 1;
    });
  }

  /** How many were not taken yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Resolves when every message that arrived has been taken. */
  idle(): Promise<void> {
    return this.#last;
  }
}
