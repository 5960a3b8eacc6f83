import { MessageTooLarge } from '../errors.js';
import { encodeData } from '../wire/codec.js';
import type { ChannelMessage } from './channel-layer.js';

/** A message in the form in which it travels. */
export interface MessageText {
  readonly text: string;
  /** The size of the text in bytes. */
  readonly size: number;
}

/**
 * @param largest in bytes
 * @throws TypeError for a value that is no message, or has no JSON text
 * @throws MessageTooLarge
 */
export function encodeMessage(message: ChannelMessage, largest: number): MessageText {
  if (typeof message?.type !== 'string') throw new TypeError('A message needs a type, which is a string.');
  const text = encodeData(message);
  if (!text.startsWith('{')) throw new TypeError('A message is an object, in its JSON text too.');
  const size = Buffer.byteLength(text);
  if (size > largest) throw new MessageTooLarge(size, largest);
  return { text, size };
}
