import { randomBytes } from 'node:crypto';
import { type ChannelMessage, type ChannelReceiver, reservedPrefix } from './channel-layer.js';
import { SlicedDelivery } from './sliced-delivery.js';

/** One channel; after disconnecting it has no receiver. */
interface Member {
  receiver: ChannelReceiver | undefined;
  groups: readonly string[];
}

interface Group {
  readonly members: Set<Member>;
  /** The list of members, kept until a channel joins or leaves. */
  list?: readonly Member[] | undefined;
}

/** The channels of this process and their groups: the part of a channel layer inside a process. */
export class LocalChannels {
  /** Prefix of this process' addresses, different from those of other processes. */
  readonly process = randomBytes(15).toString('base64url');
  readonly #members = new Map<string, Member>();
  readonly #groups = new Map<string, Group>();
  readonly #delivery: SlicedDelivery<Member>;
  #made = 0;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param slice the number of channels that receive messages before other work has its turn
   * @param onFailure called with the error of a receiver
   */
  constructor(
    slice: number,
    private readonly onFailure: (error: unknown) => void,
  ) {
    this.#delivery = new SlicedDelivery(slice, (member, message) => this.#deliver(member, message));
  }

  /** The number of groups that applications have. Specs check with it that closed channels leave nothing behind. */
  get groupCount(): number {
    return this.groups.filter((group) => !group.startsWith(reservedPrefix)).length;
  }

  get groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  /** Bytes of the messages that are not handed to all their channels yet. */
  get waiting(): number {
    return this.#waiting;
  }

  newChannel(): string {
    this.#made += 1;
    return `${this.process}.${this.#made}`;
  }

  isConnected(channel: string): boolean {
    return this.#members.has(channel);
  }

  hasGroup(group: string): boolean {
    return this.#groups.has(group);
  }

  /** @throws RangeError for an address that was not made here */
  connect(channel: string, receiver: ChannelReceiver): void {
    if (processOf(channel) !== this.process)
      throw new RangeError('Only an address that newChannel() of this channel layer has made can be connected.');
    const known = this.#members.get(channel);
    if (known) known.receiver = receiver;
    else this.#members.set(channel, { receiver, groups: [] });
  }

  /** @returns the groups that the channel was in */
  disconnect(channel: string): readonly string[] {
    const member = this.#members.get(channel);
    if (!member) return [];
    this.#members.delete(channel);
    member.receiver = undefined;
    for (const group of member.groups) this.#remove(group, member);
    return member.groups;
  }

  add(group: string, channel: string): void {
    const member = this.#members.get(channel);
    if (!member) return;
    const joined = this.#groups.get(group) ?? { members: new Set<Member>() };
    if (joined.members.has(member)) return;
    joined.members.add(member);
    joined.list = undefined;
    this.#groups.set(group, joined);
    member.groups = member.groups.concat(group);
  }

  discard(group: string, channel: string): void {
    const member = this.#members.get(channel);
    if (!member) return;
    this.#remove(group, member);
    member.groups = member.groups.filter((other) => other !== group);
  }

  /** Hands over a copy of the message; resolves when that is done. Returns undefined if the channel is not connected. */
  send(channel: string, text: string, size: number): Promise<void> | undefined {
    const member = this.#members.get(channel);
    return member && this.#hand([member], text, size);
  }

  /** Hands one copy of the message to all members that are still there at their turn. Returns undefined if there is no member. */
  sendToGroup(group: string, text: string, size: number): Promise<void> | undefined {
    const found = this.#groups.get(group);
    if (!found) return undefined;
    found.list ??= [...found.members];
    const { list } = found;
    // The channels of a large group have their turns one after the other; the list is made anew after one has left or joined.
    const isMember = (member: Member): boolean => found.list === list || found.members.has(member);
    return this.#hand(list, text, size, isMember);
  }

  /** Resolves when everything that was sent until now has been handed over. */
  async idle(): Promise<void> {
    await this.#last;
  }

  clear(): void {
    for (const member of this.#members.values()) member.receiver = undefined;
    this.#members.clear();
    this.#groups.clear();
  }

  async #hand(
    members: readonly Member[],
    text: string,
    size: number,
    isMember?: (member: Member) => boolean,
  ): Promise<void> {
    const handed = this.#delivery.send(members, JSON.parse(text), isMember);
    this.#waiting += size;
    this.#last = handed;
    await handed;
    this.#waiting -= size;
  }

  #deliver({ receiver }: Member, message: ChannelMessage): void {
    try {
      receiver?.(message);
    } catch (error) {
      this.onFailure(error);
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

/** The process of an address; undefined for a text that is no address. */
export function processOf(channel: string): string | undefined {
  return /^([\w-]{20})\.\d+$/.exec(channel)?.[1];
}
