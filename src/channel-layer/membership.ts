import type { ChannelLayer } from './channel-layer.js';

interface Joining {
  readonly group: string;
  readonly joined: Promise<void>;
}

/**
 * The groups of one channel, and who of it is in each: the channel joins with the first and leaves with the last.
 */
export class Membership {
  readonly #holders = new Map<string, readonly object[]>();
  /** Those that are not joined yet, or could not be. */
  #joining: readonly Joining[] = [];
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
    return [...this.#holders.keys()];
  }

  get size(): number {
    return this.#holders.size;
  }

  /** In the order in which they joined. */
  holdersOf(group: string): readonly object[] {
    return this.#holders.get(group) ?? [];
  }

  /** @throws what `checkRoom` throws for those of the groups that are new */
  requireRoom(groups: readonly string[]): void {
    const added = groups.filter((group) => !this.#holders.has(group));
    if (added.length > 0) this.#checkRoom(new Set(added).size);
  }

  /** Resolves once the channel is in the group, also for a holder that finds another one joining. */
  async add(group: string, holder: object): Promise<void> {
    this.requireRoom([group]);
    const known = this.#holders.get(group);
    this.#holders.set(group, known ? known.concat(holder) : [holder]);
    await (known ? this.#joining.find((other) => other.group === group)?.joined : this.#join(group));
  }

  async discard(group: string, holder: object): Promise<void> {
    const known = this.#holders.get(group);
    if (!known?.includes(holder)) return;
    const left = known.filter((other) => other !== holder);
    if (left.length > 0) {
      this.#holders.set(group, left);
      return;
    }
    this.#holders.delete(group);
    this.#joining = this.#joining.filter((other) => other.group !== group);
    await this.#layer.discard(group, this.channel);
  }

  /** One that fails stays noted, for all that hold it. */
  async #join(group: string): Promise<void> {
    const joining = { group, joined: this.#layer.add(group, this.channel) };
    this.#joining = this.#joining.concat(joining);
    await joining.joined;
    this.#joining = this.#joining.filter((other) => other !== joining);
  }
}
