import type { ConsumerSocket } from '../consumers/reach.js';
import { ConfigurationError } from '../errors.js';
import type { Class } from '../metadata.js';
import { encodeFrame, encodeReply } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';
import type { Outbound } from './outbound.js';

/** What a connection lends to the consumers behind it. */
export interface SocketParts {
  readonly outbound: Outbound;
  /** Told of every reply. */
  readonly note: (reply: Reply) => void;
  readonly close: (code: number, reason: string) => void;
}

/** The client's end of a route's only consumer. */
export function wholeSocket(parts: SocketParts): ConsumerSocket {
  const { outbound, close } = parts;
  return { ...texts(parts), binary: (data) => outbound.sendBinary(data), close };
}

/** The client's end of one stream of several. */
export function streamSocket(parts: SocketParts, stream: string, consumer: Class): ConsumerSocket {
  const binary = (): never => {
    throw new ConfigurationError({
      class: consumer.name,
      reason: 'sends a binary frame from a stream, which it could not name.',
      remedy: 'Give it a route of its own, or send JSON.',
    });
  };
  return { ...texts(parts, stream), binary, close: parts.close };
}

function texts({ outbound, note }: SocketParts, stream?: string): Pick<ConsumerSocket, 'reply' | 'json' | 'ready'> {
  return {
    reply: (reply, latest) => {
      send(outbound, reply, stream, latest);
      note(reply);
    },
    json: (text) => outbound.send(encodeFrame(text, stream)),
    ready: () => outbound.ready(),
  };
}

function send(outbound: Outbound, reply: Reply, stream: string | undefined, key: string | undefined): void {
  const text = encodeReply(reply, stream);
  if (key === undefined) outbound.send(text);
  else {
    const as = (action: string): string => encodeReply({ ...reply, action }, stream);
    outbound.send(text, { key, action: reply.action ?? '', as });
  }
}
