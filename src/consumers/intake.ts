import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import type { Logger } from '../logger.js';
import { isObserverMessage } from '../observers/recheck-message.js';
import type { Scope } from '../scope/scope.js';
import { CloseCode } from '../status.js';
import type { Ceilings } from './ceilings.js';
import type { Deliveries } from './deliveries.js';
import type { InboundMessages } from './inbound-messages.js';
import type { ConsumerSocket } from './reach.js';

export interface IntakeParts {
  readonly ceilings: Ceilings;
  readonly logger: Logger;
  readonly scope: Pick<Scope, 'path'>;
  readonly consumer: object;
  readonly socket: Pick<ConsumerSocket, 'cut'>;
}

/** Where it goes. */
export interface Receivers {
  readonly deliveries: Deliveries;
  readonly messages: InboundMessages;
}

/**
 * What comes from the channel layer for one consumer: events and messages. Permissions, observers and actions that take their
 * time make them wait; whoever falls too far behind loses the connection and reads anew, rather than miss some of them or
 * take the memory of the process.
 */
export class Intake {
  readonly #parts: IntakeParts;
  readonly #receivers: Receivers;
  #isOver = false;

  constructor(parts: IntakeParts, receivers: Receivers) {
    this.#parts = parts;
    this.#receivers = receivers;
  }

  /** Never throws. */
  receive(message: ChannelMessage): void {
    if (this.#isOver) return;
    const { deliveries, messages } = this.#receivers;
    const { ceilings } = this.#parts;
    if (!ceilings.hasRoomForEvent(deliveries.waiting + messages.waiting)) this.#overflow();
    else if (isObserverMessage(message)) deliveries.receive(message);
    else messages.receive(message);
  }

  /** Nobody is left to hear what still waits. */
  end(): void {
    this.#isOver = true;
    this.#receivers.deliveries.end();
  }

  /** Resolves when everything that arrived has been told. */
  async idle(): Promise<void> {
    await Promise.all([this.#receivers.deliveries.idle(), this.#receivers.messages.idle()]);
  }

  #overflow(): void {
    const { ceilings, logger, scope, consumer, socket } = this.#parts;
    const limit = ceilings.limits.waitingEvents;
    this.end();
    logger.warn('Too many events wait for a consumer.', {
      consumer: consumer.constructor.name,
      path: scope.path,
      limit,
    });
    // A stream alone would end for good; whoever loses the socket comes back.
    socket.cut(CloseCode.overloaded, 'Too many events wait.');
  }
}
