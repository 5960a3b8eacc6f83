import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { Status } from '../status.js';
import { addressOf, type JsonObject } from '../wire/codec.js';
import type { Reply } from '../wire/messages.js';

const ping = 'ping';

/**
 * The answer to `{"action": "ping"}`: browsers cannot see the pings of WebSocket, so this is how they ask for a sign of life.
 * It needs no stream and no consumer and does not wait; a route's one consumer with an action of this name keeps it.
 */
export function pongTo(
  frame: JsonObject,
  consumers: CompiledConsumer | ReadonlyMap<string, CompiledConsumer>,
): Reply | undefined {
  if (frame['action'] !== ping || Object.keys(frame).some((key) => key !== 'action' && key !== 'request_id')) return;
  if (!(consumers instanceof Map) && (consumers as CompiledConsumer).actions.has(ping)) return;
  return { ...addressOf(frame), status: Status.ok, data: 'null', errors: [] };
}
