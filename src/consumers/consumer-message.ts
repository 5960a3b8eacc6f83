import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import { isObserverMessage } from '../observers/recheck-message.js';
import { encodeData } from '../wire/codec.js';

/**
 * What an application sends to consumers, as it arrives in every process: JSON values only, a copy of the receiver's own.
 *
 * @throws TypeError without a type, or with one that is the framework's own
 */
export function toConsumerMessage(message: ChannelMessage): ChannelMessage {
  if (typeof message?.type !== 'string') throw new TypeError('A message needs a type, which is a string.');
  if (isObserverMessage(message)) throw new TypeError(`Messages of type "${message.type}" are the framework's own.`);
  return JSON.parse(encodeData(message));
}

export function isReservedType(type: string): boolean {
  return isObserverMessage({ type });
}
