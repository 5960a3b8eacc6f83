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

  /** @param count where the number of groups is kept */
  constructor(
    private readonly layer: ChannelLayer,
    readonly channel: string,
    private readonly count: { groups: number } = { groups: 0 },
  ) {}

  get groups(): readonly string[] {
    return [...this.#holders.keys()];
  }

  /** In the order in which they joined. */
  holdersOf(group: string): readonly object[] {
    return this.#holders.get(group) ?? [];
  }

  /** How many of these groups the channel is not in. */
  countNew(groups: readonly string[]): number {
    return new Set(groups.filter((group) => !this.#holders.has(group))).size;
  }

  /** Resolves once the channel is in the group, also for a holder that finds another one joining. */
  async add(group: string, holder: object): Promise<void> {
    const known = this.#holders.get(group);
    if (!known) this.count.groups += 1;
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
    this.count.groups -= 1;
    this.#joining = this.#joining.filter((other) => other.group !== group);
    await this.layer.discard(group, this.channel);
  }

  /** One that fails stays noted, for all that hold it. */
  async #join(group: string): Promise<void> {
    const joining = { group, joined: this.layer.add(group, this.channel) };
    this.#joining = this.#joining.concat(joining);
    await joining.joined;
    this.#joining = this.#joining.filter((other) => other !== joining);
  }
}
