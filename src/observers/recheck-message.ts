import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import { type ChangeMessage, isChangeMessage } from './change-message.js';

/** Asks the subscriptions in some groups of an observer whether they are still granted. */
export interface RecheckMessage extends ChannelMessage {
  readonly type: 'recheck';
  /** Tells copies apart that one channel gets through several groups. Absent where it is sent to one. */
  readonly id?: string;
  readonly observer: string;
  readonly groups: readonly string[];
  readonly origin?: string;
}

/** What subscriptions are told through the channel layer. */
export type ObserverMessage = ChangeMessage | RecheckMessage;

export function isRecheckMessage(message: ChannelMessage): message is RecheckMessage {
  return message.type === 'recheck';
}

export function isObserverMessage(message: ChannelMessage): message is ObserverMessage {
  return isChangeMessage(message) || isRecheckMessage(message);
}
