import {
  ChannelLayer,
  type ChannelMessage,
  type ChannelReceiver,
  checkGroupName,
  reservedPrefix,
} from './channel-layer.js';
import { SlicedDelivery } from './sliced-delivery.js';

/** The channel layer of one process. */
export class InMemoryChannelLayer extends ChannelLayer {
  readonly #receivers = new Map<string, ChannelReceiver>();
  readonly #channelsOfGroup = new Map<string, Set<string>>();
  readonly #groupsOfChannel = new Map<string, Set<string>>();
  readonly #onFailure: (error: unknown) => void;
  readonly #delivery: SlicedDelivery;

  /**
   * @param onFailure told of a receiver that threw
   * @param slice to how many channels messages are handed before other work has its turn
   */
  constructor(onFailure: (error: unknown) => void = () => {}, slice = 250) {
    super();
    this.#onFailure = onFailure;
    this.#delivery = new SlicedDelivery(slice, (channel, message) => this.#deliver(channel, message));
  }

  /** How many groups applications have. Nothing is left behind by channels that went; specs of leaks ask for it. */
  get groupCount(): number {
    return [...this.#channelsOfGroup.keys()].filter((group) => !group.startsWith(reservedPrefix)).length;
  }

  async connect(channel: string, receiver: ChannelReceiver): Promise<void> {
    this.#receivers.set(channel, receiver);
  }

  async disconnect(channel: string): Promise<void> {
    for (const group of this.#groupsOfChannel.get(channel) ?? []) this.#remove(group, channel);
    this.#groupsOfChannel.delete(channel);
    this.#receivers.delete(channel);
  }

  async add(group: string, channel: string): Promise<void> {
    checkGroupName(group);
    if (!this.#receivers.has(channel)) return;
    setOf(this.#channelsOfGroup, group).add(channel);
    setOf(this.#groupsOfChannel, channel).add(group);
  }

  async discard(group: string, channel: string): Promise<void> {
    this.#remove(group, channel);
    this.#groupsOfChannel.get(channel)?.delete(group);
  }

  async send(channel: string, message: ChannelMessage): Promise<void> {
    await this.#delivery.send([channel], message);
  }

  async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkGroupName(group);
    await this.#delivery.send([...(this.#channelsOfGroup.get(group) ?? [])], message);
  }

  async close(): Promise<void> {
    this.#receivers.clear();
    this.#channelsOfGroup.clear();
    this.#groupsOfChannel.clear();
  }

  #deliver(channel: string, message: ChannelMessage): void {
    try {
      this.#receivers.get(channel)?.(message);
    } catch (error) {
      this.#onFailure(error);
    }
  }

  #remove(group: string, channel: string): void {
    const channels = this.#channelsOfGroup.get(group);
    channels?.delete(channel);
    if (channels?.size === 0) this.#channelsOfGroup.delete(group);
  }
}

function setOf(sets: Map<string, Set<string>>, key: string): Set<string> {
  const existing = sets.get(key);
  if (existing) return existing;
  const created = new Set<string>();
  sets.set(key, created);
  return created;
}
