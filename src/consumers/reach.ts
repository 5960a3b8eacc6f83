import { type ChannelLayer, type ChannelMessage, checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Membership } from '../channel-layer/membership.js';
import type { Logger } from '../logger.js';
import type { Scope } from '../scope/scope.js';
import type { Settings } from '../settings.js';
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
  /** Closes the socket, whatever else goes through it. */
  cut(code: number, reason: string): void;
}

export interface ReachParts {
  readonly layer: ChannelLayer;
  readonly membership: Membership;
  readonly socket: ConsumerSocket;
  readonly scope: Pick<Scope, 'path'>;
  readonly settings: Pick<Settings, 'development'>;
  readonly logger: Logger;
  readonly consumer: object;
}

/**
 * Whom one consumer reaches of its own accord, and through which groups it is reached. After its end nobody hears its frames:
 * they are dropped, for whoever works in the background cannot know. Groups are refused, for nobody would ever leave them.
 */
export class Reach {
  readonly #parts: ReachParts;
  /** Each with the promise of having joined. */
  #groups: Map<string, Promise<void>> | undefined;
  #end: Error | undefined;

  constructor(parts: ReachParts) {
    this.#parts = parts;
  }

  /** The connection, or this stream of it, has ended for this reason. */
  end(reason: Error): void {
    this.#end ??= reason;
  }

  get groups(): readonly string[] {
    return [...(this.#groups?.keys() ?? [])];
  }

  /**
   * Resolves once the channel is in the group, also for whoever finds it joining.
   *
   * @throws the reason of the end, once the connection or stream has ended
   */
  async addGroup(group: string): Promise<void> {
    checkApplicationGroup(group);
    if (this.#end) throw this.#end;
    this.#groups ??= new Map();
    const joined = this.#groups.get(group) ?? this.#join(group);
    this.#groups.set(group, joined);
    await joined;
  }

  async removeGroup(group: string): Promise<void> {
    if (this.#groups?.delete(group)) await this.#parts.membership.discard(group);
  }

  sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkApplicationGroup(group);
    return this.#parts.layer.sendToGroup(group, toConsumerMessage(message));
  }

  sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this.#parts.layer.send(channel, toConsumerMessage(message));
  }

  sendJson(value: unknown): void {
    const text = encodeData(value);
    if (!this.#isUnheard()) this.#parts.socket.json(text);
  }

  sendBinary(data: Uint8Array): void {
    if (!this.#isUnheard()) this.#parts.socket.binary(data);
  }

  #isUnheard(): boolean {
    if (!this.#end) return false;
    const { settings, logger, scope, consumer } = this.#parts;
    const facts = { consumer: consumer.constructor.name, path: scope.path };
    if (settings.development) logger.debug('A frame was dropped: its connection or stream has ended.', facts);
    return true;
  }

  /** One that cannot be joined is not noted as joined; one that is joined too late is left again. */
  async #join(group: string): Promise<void> {
    try {
      await this.#parts.membership.add(group);
      if (this.#end) throw this.#end;
    } catch (error) {
      await this.removeGroup(group).catch(() => {});
      throw error;
    }
  }
}
