/**
 * A message between consumers. It holds JSON values only, because it may cross processes; receivers share one copy and must not change it.
 */
export type ChannelMessage = Readonly<Record<string, unknown>> & { readonly type: string };

/** The receiver of a channel: called for each message, in the order in which messages arrive. */
export type ChannelReceiver = (message: ChannelMessage) => void;

/** A message and the group that it is for. */
export interface GroupMessage {
  /** The name of the group, as `ChannelLayer.add` takes it. */
  readonly group: string;
  /** Every channel of the group gets it. */
  readonly message: ChannelMessage;
}

/**
 * How connections reach each other, within a process or across several. It carries messages, not committed changes. Delivery is at most
 * once. Messages of one sender to one channel arrive in the order in which they were sent, through whichever groups.
 *
 * - A channel is the address of one consumer, made by `newChannel`. A message to a channel that is not connected is dropped.
 * - A group is a named set of channels. Its name is 1 to 500 characters of well-formed Unicode. A group without channels does not exist.
 * - `add` and `discard` are idempotent, and take effect for every message that is sent after they resolved.
 * - Disconnecting a channel removes it from all its groups.
 * - A receiver gets the JSON of the message as it was when it was sent, also within one process.
 * - A receiver that throws affects neither the sender nor the other receivers.
 *
 * A layer may lose its connection to a server. No method waits until the server is back:
 *
 * - `connect`, `add` and the sending methods settle within a time limit. They reject with `ChannelLayerUnavailable` if the server did not
 *   confirm in time: then the channel is not connected, or not in the group, and the next call tries again. The message may have arrived
 *   nevertheless.
 * - `disconnect` and `discard` never reject.
 * - The layer restores confirmed memberships. Then it calls `onGap`, once per outage; it also does so if it rejected a call before its
 *   first connection to the server.
 */
export abstract class ChannelLayer {
  readonly #gapListeners: (() => void)[] = [];
  readonly #failureListeners: ((error: unknown) => void)[] = [];

  /** Makes an address in this process that no other consumer has, for `connect`. */
  abstract newChannel(): string;
  /**
   * Connects a receiver to the channel.
   *
   * @throws RangeError for an address that `newChannel` of this layer did not make
   */
  abstract connect(channel: string, receiver: ChannelReceiver): Promise<void>;
  /** Removes the channel from all its groups; its receiver is not called any more. Never rejects. */
  abstract disconnect(channel: string): Promise<void>;
  /**
   * Adds the channel to a group.
   *
   * @throws RangeError for an invalid group name
   */
  abstract add(group: string, channel: string): Promise<void>;
  /** Removes the channel from one group; does nothing if it is not in it. Never rejects. */
  abstract discard(group: string, channel: string): Promise<void>;
  /**
   * Sends a message to one channel.
   *
   * @throws ChannelLayerUnavailable
   * @throws MessageTooLarge
   * @throws TypeError for a value that is no message
   */
  abstract send(channel: string, message: ChannelMessage): Promise<void>;
  /**
   * Sends a message to every channel of a group.
   *
   * @throws as `send` does; RangeError for an invalid group name
   */
  abstract sendToGroup(group: string, message: ChannelMessage): Promise<void>;
  /**
   * Sends several messages in their order, without a wait between them.
   *
   * @throws as `sendToGroup` does for the first message that could not be sent; the others are sent nevertheless
   */
  abstract sendAll(messages: readonly GroupMessage[]): Promise<void>;

  /** Calls back when messages to this process may have been lost: after an outage, when memberships are restored. */
  onGap(listener: () => void): void {
    this.#gapListeners.push(listener);
  }

  /**
   * Calls back with errors outside of any call: a receiver that throws; once per outage, `ChannelLayerUnavailable` for a connection that
   * breaks or cannot be made.
   */
  onFailure(listener: (error: unknown) => void): void {
    this.#failureListeners.push(listener);
  }

  /**
   * Checks whether other processes can be reached; the readiness probe calls it.
   *
   * @throws Error with the reason if they cannot
   */
  async check(): Promise<void> {}

  /** Delivers accepted messages, within a time limit. After that, sending, connecting and adding reject. Never rejects itself. */
  abstract close(): Promise<void>;

  /** For implementations: calls the listeners of `onGap`. */
  protected tellGap(): void {
    for (const listener of this.#gapListeners) listener();
  }

  /** For implementations: calls the listeners of `onFailure`. */
  protected tellFailure(error: unknown): void {
    for (const listener of this.#failureListeners) listener(error);
  }
}

export const maximumNameLength = 500;

/** @throws RangeError for an invalid group name */
export function checkGroupName(group: string): void {
  const isString = typeof group === 'string';
  // A server would replace a lone surrogate: two names would become one.
  if (isString && group.length > 0 && group.length <= maximumNameLength && group.isWellFormed()) return;
  const shown = isString && !group.isWellFormed() ? 'one with half a character' : shownLength(group);
  throw new RangeError(`A group's name is a string of 1 to ${maximumNameLength} characters, not ${shown}.`);
}

function shownLength(group: unknown): string {
  return typeof group === 'string' ? `${group.length} characters` : typeof group;
}

/** Prefix of the framework's own group names. */
export const reservedPrefix = 'signalbox:';

/** @throws RangeError for an invalid group name, or one with the framework's prefix */
export function checkApplicationGroup(group: string): void {
  checkGroupName(group);
  if (group.startsWith(reservedPrefix))
    throw new RangeError(`The names of groups that begin with "${reservedPrefix}" are the framework's own.`);
}
