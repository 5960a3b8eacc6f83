import { randomUUID } from 'node:crypto';
import type { ChannelMessage } from '../channel-layer/channel-layer.js';

/** One change as it travels to the channels of its groups. */
export interface ChangeMessage extends ChannelMessage {
  readonly type: 'change';
  /** Tells copies apart that one channel gets through several groups. Absent where it is sent to one. */
  readonly id?: string;
  readonly observer: string;
  /** The process that committed, and which of its commits it was. */
  readonly source: string;
  readonly commit: number;
  readonly pk: unknown;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** JSON text, encoded once. Absent where the row is in no group any more. */
  readonly data?: string;
  /** The same for those who have more than the least rights, by what rightsKey makes of these. */
  readonly dataByRights?: Readonly<Record<string, string>>;
  readonly origin?: string;
  /** The trace of the commit, as W3C `traceparent`; absent where nothing is traced. */
  readonly cause?: string;
}

export function isChangeMessage(message: ChannelMessage): message is ChangeMessage {
  return message.type === 'change';
}

/** @param groups each of them once */
export function idFor(groups: readonly string[]): Pick<ChangeMessage, 'id'> {
  return groups.length > 1 ? { id: randomUUID() } : {};
}
