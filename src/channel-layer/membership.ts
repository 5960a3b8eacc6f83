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
  readonly #checkRoom: (added: number) => void;

  /** @param checkRoom throws where there may not be so many groups more */
  constructor(
    layer: ChannelLayer,
    readonly channel: string,
    checkRoom: (added: number) => void = () => {},
  ) {
    this.#layer = layer;
    this.#checkRoom = checkRoom;
  }

  get groups(): readonly string[] {
    return [...this.#holdings.keys()];
  }

  get size(): number {
    return this.#holdings.size;
  }

  /** @throws what `checkRoom` throws for those of the groups that are new */
  requireRoom(groups: readonly string[]): void {
    const added = groups.filter((group) => !this.#holdings.has(group));
    if (added.length > 0) this.#checkRoom(new Set(added).size);
  }

  /** Resolves once the channel is in the group, also for a holder that finds another one joining. */
  async add(group: string): Promise<void> {
    this.requireRoom([group]);
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
