import type { ChannelLayer } from './channel-layer.js';

/**
 * The groups of one channel. Several subscriptions may want the same group: the channel joins with the first and leaves
 * with the last.
 */
export class Membership {
  readonly #holders = new Map<string, number>();
  readonly #layer: ChannelLayer;

  constructor(
    layer: ChannelLayer,
    readonly channel: string,
  ) {
    this.#layer = layer;
  }

  get groups(): readonly string[] {
    return [...this.#holders.keys()];
  }

  async add(group: string): Promise<void> {
    const holders = this.#holders.get(group) ?? 0;
    this.#holders.set(group, holders + 1);
    if (holders === 0) await this.#layer.add(group, this.channel);
  }

  async discard(group: string): Promise<void> {
    const holders = this.#holders.get(group);
    if (holders === undefined) return;
    if (holders > 1) {
      this.#holders.set(group, holders - 1);
      return;
    }
    this.#holders.delete(group);
    await this.#layer.discard(group, this.channel);
  }
}
