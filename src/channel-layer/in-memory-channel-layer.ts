import {
  ChannelLayer,
  type ChannelMessage,
  type ChannelReceiver,
  checkGroupName,
  reservedPrefix,
} from './channel-layer.js';
import { SlicedDelivery } from './sliced-delivery.js';

/** One channel; without a receiver it has been disconnected. */
interface Member {
  receiver: ChannelReceiver | undefined;
  groups: readonly string[];
}

interface Group {
  readonly members: Set<Member>;
  /** The same, as long as no channel joins or leaves. */
  list?: readonly Member[] | undefined;
}

/** The channel layer of one process. */
export class InMemoryChannelLayer extends ChannelLayer {
  readonly #members = new Map<string, Member>();
  readonly #groups = new Map<string, Group>();
  readonly #onFailure: (error: unknown) => void;
  readonly #delivery: SlicedDelivery<Member>;

  /**
   * @param onFailure told of a receiver that threw
   * @param slice to how many channels messages are handed before other work has its turn
   */
  constructor(onFailure: (error: unknown) => void = () => {}, slice = 250) {
    super();
    this.#onFailure = onFailure;
    this.#delivery = new SlicedDelivery(slice, (member, message) => this.#deliver(member, message));
  }

  /** How many groups applications have. Nothing is left behind by channels that went; specs of leaks ask for it. */
  get groupCount(): number {
    return [...this.#groups.keys()].filter((group) => !group.startsWith(reservedPrefix)).length;
  }

  async connect(channel: string, receiver: ChannelReceiver): Promise<void> {
    const known = this.#members.get(channel);
    if (known) known.receiver = receiver;
    else this.#members.set(channel, { receiver, groups: [] });
  }

  async disconnect(channel: string): Promise<void> {
    const member = this.#members.get(channel);
    if (!member) return;
    this.#members.delete(channel);
    member.receiver = undefined;
    for (const group of member.groups) this.#remove(group, member);
  }

  async add(group: string, channel: string): Promise<void> {
    checkGroupName(group);
    const member = this.#members.get(channel);
    if (!member) return;
    const joined = this.#groups.get(group) ?? { members: new Set<Member>() };
    if (joined.members.has(member)) return;
    joined.members.add(member);
    joined.list = undefined;
    this.#groups.set(group, joined);
    member.groups = member.groups.concat(group);
  }

  async discard(group: string, channel: string): Promise<void> {
    const member = this.#members.get(channel);
    if (!member) return;
    this.#remove(group, member);
    member.groups = member.groups.filter((other) => other !== group);
  }

  async send(channel: string, message: ChannelMessage): Promise<void> {
    const member = this.#members.get(channel);
    if (member) await this.#delivery.send([member], message);
  }

  async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkGroupName(group);
    const found = this.#groups.get(group);
    if (!found) return;
    found.list ??= [...found.members];
    await this.#delivery.send(found.list, message);
  }

  async close(): Promise<void> {
    for (const member of this.#members.values()) member.receiver = undefined;
    this.#members.clear();
    this.#groups.clear();
  }

  #deliver({ receiver }: Member, message: ChannelMessage): void {
    try {
      receiver?.(message);
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #remove(group: string, member: Member): void {
    const left = this.#groups.get(group);
    if (!left) return;
    left.members.delete(member);
    left.list = undefined;
    if (left.members.size === 0) this.#groups.delete(group);
  }
}
