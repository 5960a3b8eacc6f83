import { checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Membership } from '../channel-layer/membership.js';
import type { Quotas } from './quotas.js';

/** The groups that one consumer has joined of its own accord, by `addGroup` or `@Groups`. */
export class ConsumerGroups {
  /** Each with the promise of having joined. */
  #joined: Map<string, Promise<void>> | undefined;
  #end: Error | undefined;

  constructor(
    private readonly membership: Membership,
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
    this.#joined ??= new Map();
    const joined = this.#joined.get(group) ?? this.#join(group);
    this.#joined.set(group, joined);
    await joined;
  }

  async remove(group: string): Promise<void> {
    if (this.#joined?.delete(group)) await this.membership.discard(group, this);
  }

  /** One that cannot be joined is not noted as joined; one that is joined too late is left again. */
  async #join(group: string): Promise<void> {
    try {
      this.quotas.requireGroups(this.membership.countNew([group]));
      await this.membership.add(group, this);
      if (this.#end) throw this.#end;
    } catch (error) {
      await this.remove(group).catch(() => {});
      throw error;
    }
  }
}
