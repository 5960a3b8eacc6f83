import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import { encodeData } from '../wire/codec.js';

/**
 * What an application sends to consumers, as it arrives in every process: JSON values only, a copy of the receiver's own.
 *
 * @throws TypeError without a type
 */
export function toConsumerMessage(message: ChannelMessage): ChannelMessage {
  if (typeof message?.type !== 'string') throw new TypeError('A message needs a type, which is a string.');
  return JSON.parse(encodeData(message));
}
