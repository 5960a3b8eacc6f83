import type { ChannelLayer, ChannelMessage } from '../channel-layer/channel-layer.js';
import type { Clock } from '../clock.js';
import type { Logger } from '../logger.js';

/** So many messages may be under way before the first of them has arrived. */
const mostAhead = 100;

export interface SenderParts {
  readonly layer: ChannelLayer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly settings: { readonly channelLayerTimeLimit: number };
}

interface Sent {
  readonly group: string;
  readonly at: number;
  isUnderWay: boolean;
  /** Never rejects. */
  arrived: Promise<void> | undefined;
}

/**
 * Messages -> channel layer, in their order. They need not wait for each other: those that one commit sends to the same
 * connection can leave in one write. A message that does not arrive in time is not waited for any longer, and is not sent again.
 */
export class MessageSender {
  readonly #parts: SenderParts;
  #underWay: Sent[] = [];
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: SenderParts) {
    this.#parts = parts;
  }

  /**
   * Resolves once there is room for the next.
   *
   * @param fail told what the layer rejects with
   * @throws what the layer throws
   */
  async send(groups: readonly string[], message: ChannelMessage, fail: (error: unknown) => void): Promise<void> {
    for (const group of groups) this.#underWay.push(this.#send(group, message, fail));
    while (this.#underWay.length > mostAhead) await this.#waitFor(this.#underWay.shift());
  }

  /** Resolves once everything has arrived, or could have. Never rejects. */
  async arrived(): Promise<void> {
    for (const sent of this.#underWay.splice(0)) await this.#waitFor(sent);
  }

  #send(group: string, message: ChannelMessage, fail: (error: unknown) => void): Sent {
    const sent: Sent = { group, at: this.#parts.clock.elapsed(), isUnderWay: true, arrived: undefined };
    const settle = (): void => {
      sent.isUnderWay = false;
    };
    sent.arrived = this.#parts.layer.sendToGroup(group, message).catch(fail).then(settle);
    return sent;
  }

  async #waitFor(sent: Sent | undefined): Promise<void> {
    if (!sent?.isUnderWay) return;
    const { clock, settings } = this.#parts;
    const left = sent.at + settings.channelLayerTimeLimit - clock.elapsed();
    if (left > 0) {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(left, resolve);
      await Promise.race([sent.arrived, late]);
      timer.cancel();
    }
    if (sent.isUnderWay) this.#warn(sent);
  }

  /** Once in each time limit: where one does not arrive, others do not either. */
  #warn({ group }: Sent): void {
    const { layer, clock, logger, settings } = this.#parts;
    const now = clock.elapsed();
    if (now - this.#warnedAt < settings.channelLayerTimeLimit) return;
    this.#warnedAt = now;
    logger.warn(
      'The channel layer does not say that a message has arrived, which is not waited for any longer: see whether sendToGroup settles, and whether its server answers.',
      { layer: layer.constructor.name, group, timeLimit: settings.channelLayerTimeLimit },
    );
  }
}
