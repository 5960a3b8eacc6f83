import type { ChannelLayer, ChannelMessage } from '../channel-layer/channel-layer.js';

/** So many messages may be under way before the first of them has arrived. */
const mostAhead = 100;

/**
 * Messages -> channel layer, in their order. They need not wait for each other: those that one commit sends to the same
 * connection can leave in one write.
 */
export class MessageSender {
  readonly #layer: ChannelLayer;
  #underWay: Promise<void>[] = [];

  constructor(layer: ChannelLayer) {
    this.#layer = layer;
  }

  /**
   * Resolves once there is room for the next.
   *
   * @param fail told what the layer rejects with
   * @throws what the layer throws
   */
  async send(groups: readonly string[], message: ChannelMessage, fail: (error: unknown) => void): Promise<void> {
    for (const group of groups) this.#underWay.push(this.#layer.sendToGroup(group, message).catch(fail));
    while (this.#underWay.length > mostAhead) await this.#underWay.shift();
  }

  /** Resolves once everything has arrived. Never rejects. */
  async arrived(): Promise<void> {
    await Promise.all(this.#underWay.splice(0));
  }
}
