/** What travels between consumers. Nothing but JSON values, for it may cross processes; a receiver must not change it. */
export type ChannelMessage = Readonly<Record<string, unknown>> & { readonly type: string };

export type ChannelReceiver = (message: ChannelMessage) => void;

/**
 * How connections reach each other, within a process or across several. Delivery is at most once; messages sent by one
 * sender to one channel arrive in the order in which they were sent.
 *
 * - A channel is the address of one consumer. A message to a channel that is not connected is dropped.
 * - A group is a named set of channels. Its name is 1 to 500 characters long. A group without channels does not exist.
 * - `add` and `discard` are idempotent, and take effect for every message sent after they resolved.
 * - Disconnecting a channel removes it from all its groups.
 * - A receiver that throws harms neither the sender nor the other receivers.
 */
export abstract class ChannelLayer {
  abstract connect(channel: string, receiver: ChannelReceiver): Promise<void>;
  abstract disconnect(channel: string): Promise<void>;
  abstract add(group: string, channel: string): Promise<void>;
  abstract discard(group: string, channel: string): Promise<void>;
  abstract send(channel: string, message: ChannelMessage): Promise<void>;
  abstract sendToGroup(group: string, message: ChannelMessage): Promise<void>;
  /** Whether other processes can be reached; the readiness probe asks. @throws Error that says why not */
  async check(): Promise<void> {}

  /** Ends everything; the layer is of no use afterwards. */
  abstract close(): Promise<void>;
}

export const maximumNameLength = 500;

/** @throws RangeError for a name that no layer has to accept */
export function checkGroupName(group: string): void {
  if (typeof group === 'string' && group.length > 0 && group.length <= maximumNameLength) return;
  const shown = typeof group === 'string' ? `${group.length} characters` : typeof group;
  throw new RangeError(`A group's name is a string of 1 to ${maximumNameLength} characters, not ${shown}.`);
}

/** What the names of the framework's own groups begin with. */
export const reservedPrefix = 'signalbox:';

/** @throws RangeError for a name that no layer has to accept, or that is the framework's own */
export function checkApplicationGroup(group: string): void {
  checkGroupName(group);
  if (group.startsWith(reservedPrefix))
    throw new RangeError(`The names of groups that begin with "${reservedPrefix}" are the framework's own.`);
}
