import type { ChannelLayer, ChannelMessage } from '../channel-layer/channel-layer.js';
import type { Membership } from '../channel-layer/membership.js';
import { encodeData } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import { toConsumerMessage } from './consumer-message.js';

/** The client's end of one consumer: a socket, or a stream of one. */
export interface ConsumerSocket {
  /** @param latest tells the row of an event of which only the latest is worth sending */
  reply(reply: Reply, latest?: string): void;
  /** Resolves once the client has read enough for more to be worth sending; undefined where it has. */
  ready(): Promise<void> | undefined;
  /** A text frame that is no reply. */
  json(text: string): void;
  /** @throws ConfigurationError where a binary frame could not name its stream */
  binary(data: Uint8Array): void;
  close(code: number, reason: string): void;
}

/** Whom one consumer reaches of its own accord, and through which groups it is reached. */
export class Reach {
  readonly #layer: ChannelLayer;
  readonly #membership: Membership;
  readonly #socket: ConsumerSocket;
  /** Each with the promise of having joined. */
  readonly #groups = new Map<string, Promise<void>>();

  constructor(layer: ChannelLayer, membership: Membership, socket: ConsumerSocket) {
    this.#layer = layer;
    this.#membership = membership;
    this.#socket = socket;
  }

  get groups(): readonly string[] {
    return [...this.#groups.keys()];
  }

  /** Resolves once the channel is in the group, also for whoever finds it joining. */
  addGroup(group: string): Promise<void> {
    const joined = this.#groups.get(group) ?? this.#join(group);
    this.#groups.set(group, joined);
    return joined;
  }

  async removeGroup(group: string): Promise<void> {
    if (this.#groups.delete(group)) await this.#membership.discard(group);
  }

  sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    return this.#layer.sendToGroup(group, toConsumerMessage(message));
  }

  sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this.#layer.send(channel, toConsumerMessage(message));
  }

  sendJson(value: unknown): void {
    this.#socket.json(encodeData(value));
  }

  sendBinary(data: Uint8Array): void {
    this.#socket.binary(data);
  }

  /** One that cannot be joined is not noted as joined. */
  async #join(group: string): Promise<void> {
    try {
      await this.#membership.add(group);
    } catch (error) {
      await this.removeGroup(group).catch(() => {});
      throw error;
    }
  }
}
