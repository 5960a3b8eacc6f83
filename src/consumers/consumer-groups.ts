import { type ChannelLayer, checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Holdings, Quotas } from './quotas.js';

/** The groups that the channel of one consumer has joined, by `addGroup` or `@Groups`. */
export class ConsumerGroups {
  /** Each with the promise of having joined. */
  #joined: Map<string, Promise<void>> | undefined;
  #end: Error | undefined;

  /** @param holdings where the number of groups is kept */
  constructor(
    private readonly layer: ChannelLayer,
    private readonly channel: string,
    private readonly holdings: Holdings,
    private readonly quotas: Quotas,
  ) {}

  /** The connection, or this stream of it, has ended for this reason; a group that was joined now would never be left. */
  end(reason: Error): void {
    this.#end ??= reason;
  }

  /** Why nothing may be joined or sent any more. */
  get ended(): Error | undefined {
    return this.#end;
  }

  get names(): readonly string[] {
    return [...(this.#joined?.keys() ?? [])];
  }

  /**
   * Resolves once the channel is in the group, also for a caller that finds it joining.
   *
   * @throws the reason of the end, once the connection or stream has ended
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

  /** One that cannot be joined is not noted as joined; one that is joined too late is left again. */
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
