import type { ChannelLayer } from './channel-layer.js';

interface Holding {
  readonly holders: number;
  readonly joined: Promise<void>;
}

/**
 * The groups of one channel. Several subscriptions may want the same group: the channel joins with the first and leaves
 * with the last.
 */
export class Membership {
  readonly #holdings = new Map<string, Holding>();
  readonly #layer: ChannelLayer;

  constructor(
    layer: ChannelLayer,
    readonly channel: string,
  ) {
    this.#layer = layer;
  }

  get groups(): readonly string[] {
    return [...this.#holdings.keys()];
  }

  /** Resolves once the channel is in the group, also for a holder that finds another one joining. */
  async add(group: string): Promise<void> {
    const { holders, joined } = this.#holdings.get(group) ?? {
      holders: 0,
      joined: this.#layer.add(group, this.channel),
    };
    this.#holdings.set(group, { holders: holders + 1, joined });
    await joined;
  }

  async discard(group: string): Promise<void> {
    const held = this.#holdings.get(group);
    if (!held) return;
    if (held.holders > 1) {
      this.#holdings.set(group, { ...held, holders: held.holders - 1 });
      return;
    }
    this.#holdings.delete(group);
    await this.#layer.discard(group, this.channel);
  }
}
