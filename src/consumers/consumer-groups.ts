import { type ChannelLayer, checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Holdings, Quotas } from './quotas.js';

/** The groups that the channel of one consumer has joined, by `addGroup` or `@Groups`. */
export class ConsumerGroups {
  /** The joined groups, each with the promise of its joining. */
  #joined: Map<string, Promise<void>> | undefined;
  #end: Error | undefined;

  /** @param holdings counts the groups */
  constructor(
    private readonly layer: ChannelLayer,
    private readonly channel: string,
    private readonly holdings: Holdings,
    private readonly quotas: Quotas,
  ) {}

  /** Ends the groups for this reason: a group that is joined after the end of the connection or stream would never be left. */
  end(reason: Error): void {
    this.#end ??= reason;
  }

  /** The reason why no group may be joined and nothing may be sent any more; undefined before the end. */
  get ended(): Error | undefined {
    return this.#end;
  }

  get names(): readonly string[] {
    return [...(this.#joined?.keys() ?? [])];
  }

  /**
   * Joins a group; resolves when the channel is in it, also for a caller that comes while it is joining.
   *
   * @throws the reason of the end, after the connection or stream has ended
   */
  async add(group: string): Promise<void> {
    checkApplicationGroup(group);
    if (this.#end) throw this.#end;
    const known = this.#joined?.get(group);
    if (known) return known;
    this.quotas.requireGroups(1);
    this.#joined ??= new Map();
    const joined = this.#join(group);
    this.#joined.set(group, joined);
    this.holdings.groups += 1;
    await joined;
  }

  async remove(group: string): Promise<void> {
    if (!this.#joined?.delete(group)) return;
    this.holdings.groups -= 1;
    await this.layer.discard(group, this.channel);
  }

  /** Joins a group. If that fails, the group is not noted; if the end came meanwhile, the group is left again. */
  async #join(group: string): Promise<void> {
    try {
      await this.layer.add(group, this.channel);
      if (this.#end) throw this.#end;
    } catch (error) {
      await this.remove(group).catch(() => {});
      throw error;
    }
  }
}
