import {
  ChannelLayer,
  type ChannelMessage,
  type ChannelReceiver,
  checkGroupName,
  type GroupMessage,
} from './channel-layer.js';
import {
  allSent,
  type ChannelLayerOptions,
  completeOptions,
  isClosed,
  layerDefaults,
  tooMuchWaits,
} from './layer-options.js';
import { LocalChannels } from './local-channels.js';
import { encodeMessage, type MessageText } from './message-text.js';

/** The channel layer of one process. */
export class InMemoryChannelLayer extends ChannelLayer {
  readonly #options: Required<ChannelLayerOptions>;
  readonly #channels: LocalChannels;
  #isClosed = false;

  constructor(options: ChannelLayerOptions = {}) {
    super();
    this.#options = completeOptions('InMemoryChannelLayer', layerDefaults, options);
    this.#channels = new LocalChannels(this.#options.slice, (error) => this.tellFailure(error));
  }

  /** The number of groups that applications have. Specs check with it that closed channels leave nothing behind. */
  get groupCount(): number {
    return this.#channels.groupCount;
  }

  newChannel(): string {
    return this.#channels.newChannel();
  }

  async connect(channel: string, receiver: ChannelReceiver): Promise<void> {
    this.#requireOpen();
    this.#channels.connect(channel, receiver);
  }

  async disconnect(channel: string): Promise<void> {
    this.#channels.disconnect(channel);
  }

  async add(group: string, channel: string): Promise<void> {
    checkGroupName(group);
    this.#requireOpen();
    this.#channels.add(group, channel);
  }

  async discard(group: string, channel: string): Promise<void> {
    this.#channels.discard(group, channel);
  }

  async send(channel: string, message: ChannelMessage): Promise<void> {
    const { text, size } = this.#accept(message);
    await this.#channels.send(channel, text, size);
  }

  async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkGroupName(group);
    const { text, size } = this.#accept(message);
    await this.#channels.sendToGroup(group, text, size);
  }

  async sendAll(messages: readonly GroupMessage[]): Promise<void> {
    await allSent(messages.map(({ group, message }) => this.sendToGroup(group, message)));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#channels.idle();
    this.#channels.clear();
  }

  #accept(message: ChannelMessage): MessageText {
    this.#requireOpen();
    const { largestMessage, largestBacklog } = this.#options;
    const encoded = encodeMessage(message, largestMessage);
    if (this.#channels.waiting + encoded.size > largestBacklog) throw tooMuchWaits(largestBacklog);
    return encoded;
  }

  #requireOpen(): void {
    if (this.#isClosed) throw isClosed();
  }
}
