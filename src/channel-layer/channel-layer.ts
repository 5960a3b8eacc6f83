/** What travels between consumers. JSON values only, for it may cross processes; receivers share one copy and must not change it. */
export type ChannelMessage = Readonly<Record<string, unknown>> & { readonly type: string };

/** What `ChannelLayer.connect` is given: called for each message to the channel, in the order in which they arrive. */
export type ChannelReceiver = (message: ChannelMessage) => void;

/** A message and the group that it is for. */
export interface GroupMessage {
  /** The name of the group, as `ChannelLayer.add` takes it. */
  readonly group: string;
  /** Every channel of the group gets it. */
  readonly message: ChannelMessage;
}

/**
 * How connections reach each other, within a process or across several: the carrier of messages, not of committed changes. Delivery
 * is at most once. Messages of one sender to one channel arrive in the order in which they were sent, through whatever groups.
 *
 * - A channel is the address of one consumer, made by `newChannel`. A message to a channel that is not connected is dropped.
 * - A group is a named set of channels. Its name is 1 to 500 characters of well-formed Unicode. A group without channels does not exist.
 * - `add` and `discard` are idempotent, and take effect for every message sent after they resolved.
 * - Disconnecting a channel removes it from all its groups.
 * - A receiver gets what the JSON text of the message says, as it was when the message was sent, also within one process.
 * - A receiver that throws harms neither the sender nor the other receivers.
 *
 * A layer may lose the way to its server. No method waits for it to come back:
 *
 * - `connect`, `add` and the methods that send settle within a time limit. They reject with `ChannelLayerUnavailable` where the server
 *   did not confirm in time: the channel is then not connected, or not in the group, and the next call tries again. A message may
 *   have arrived all the same.
 * - `disconnect` and `discard` never reject.
 * - Memberships that were confirmed are restored. Then, once per outage, `onGap` is called; also where something was rejected before the
 *   first connection to the server.
 */
export abstract class ChannelLayer {
  readonly #gapListeners: (() => void)[] = [];
  readonly #failureListeners: ((error: unknown) => void)[] = [];

  /** An address of this process that no other consumer has, for `connect`. */
  abstract newChannel(): string;
  /** @throws RangeError for an address that `newChannel` of this layer did not make */
  abstract connect(channel: string, receiver: ChannelReceiver): Promise<void>;
  /** Takes the channel out of all its groups; its receiver is not called any more. Never rejects. */
  abstract disconnect(channel: string): Promise<void>;
  /** @throws RangeError for a name that no group can have */
  abstract add(group: string, channel: string): Promise<void>;
  /** Takes the channel out of one group; does nothing where it is not in it. Never rejects. */
  abstract discard(group: string, channel: string): Promise<void>;
  /**
   * @throws ChannelLayerUnavailable
   * @throws MessageTooLarge
   * @throws TypeError for what is no message
   */
  abstract send(channel: string, message: ChannelMessage): Promise<void>;
  /** @throws as `send` does; RangeError for a name that no group can have */
  abstract sendToGroup(group: string, message: ChannelMessage): Promise<void>;
  /**
   * Sends several messages in their order, with no wait between them.
   *
   * @throws as `sendToGroup` does for the first that could not be sent; the others are sent all the same
   */
  abstract sendAll(messages: readonly GroupMessage[]): Promise<void>;

  /** Calls back when messages for this process may have been lost until now: after an outage, once memberships are back. */
  onGap(listener: () => void): void {
    this.#gapListeners.push(listener);
  }

  /**
   * Calls back with what fails outside of any call: a receiver that throws; once per outage, `ChannelLayerUnavailable` for a connection that
   * breaks or cannot be made.
   */
  onFailure(listener: (error: unknown) => void): void {
    this.#failureListeners.push(listener);
  }

  /** Whether other processes can be reached; the readiness probe asks. @throws Error that says why not */
  async check(): Promise<void> {}

  /** Delivers what was accepted before, within a time limit. Then sending, connecting and adding reject. Never rejects itself. */
  abstract close(): Promise<void>;

  /** For implementations. */
  protected tellGap(): void {
    for (const listener of this.#gapListeners) listener();
  }

  /** For implementations. */
  protected tellFailure(error: unknown): void {
    for (const listener of this.#failureListeners) listener(error);
  }
}

export const maximumNameLength = 500;

/** @throws RangeError for a name that no layer has to accept */
export function checkGroupName(group: string): void {
  const isString = typeof group === 'string';
  // A lone surrogate does not survive the way to a server: two names would become one.
  if (isString && group.length > 0 && group.length <= maximumNameLength && group.isWellFormed()) return;
  const shown = isString && !group.isWellFormed() ? 'one with half a character' : shownLength(group);
  throw new RangeError(`A group's name is a string of 1 to ${maximumNameLength} characters, not ${shown}.`);
}

function shownLength(group: unknown): string {
  return typeof group === 'string' ? `${group.length} characters` : typeof group;
}

/** What the names of the framework's own groups begin with. */
export const reservedPrefix = 'signalbox:';

/** @throws RangeError for a name that no layer has to accept, or that is the framework's own */
export function checkApplicationGroup(group: string): void {
  checkGroupName(group);
  if (group.startsWith(reservedPrefix))
    throw new RangeError(`The names of groups that begin with "${reservedPrefix}" are the framework's own.`);
}
