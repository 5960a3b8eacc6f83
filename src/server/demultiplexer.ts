import type { ConsumerClass } from '../consumers/compiled-consumer.js';

export type Streams = Readonly<Record<string, ConsumerClass>>;

/** Several consumers behind one socket. */
export class Demultiplexer<S extends Streams = Streams> {
  constructor(readonly streams: S) {}
}

/**
 * Several consumers behind one socket, each in a stream of its own and isolated from the others.
 *
 * ```ts
 * path('/ws/chat/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer }))
 * ```
 *
 * ```json
 * {"stream": "rooms", "payload": {"action": "list", "request_id": 1}}
 * {"stream": "rooms", "payload": {"errors": [], "data": [], "action": "list", "response_status": 200, "request_id": 1}}
 * ```
 */
export function demultiplexer<const S extends Streams>(streams: S): Demultiplexer<S> {
  return new Demultiplexer(streams);
}
