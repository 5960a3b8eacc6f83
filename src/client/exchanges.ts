import type { ReplyFrame } from '../wire/messages.js';
import type { Asked, CompleteOptions } from './client-options.js';
import type { ClientControls, FrameListener } from './client-types.js';
import { createConnection } from './connection.js';
import { createEmitter } from './emitter.js';
import type { Desk, Exchange } from './exchange.js';
import { request } from './request.js';
import { SignalboxError } from './signalbox-error.js';
import type { ConnectionStatus } from './status.js';
import { subscribe } from './subscription.js';

/** Keeps all running requests and subscriptions by request id; they outlive single connections. */
export function createControls(url: string | Asked<string>, options: CompleteOptions): ClientControls {
  const open = new Map<unknown, Exchange>();
  const [$onFrame, tellFrame] = createEmitter<Parameters<FrameListener>>();

  const received = (data: unknown): void => {
    const frame = parse(data);
    // A frame without a stream belongs to a route without streams, or is not one of ours.
    const { stream = null, payload = frame as ReplyFrame } = (
      frame?.stream === undefined ? {} : frame
    ) as Partial<Envelope>;
    const { response_status: status, code, action, request_id: id } = payload ?? {};
    const receive = ({ kind, failed }: Exchange): void =>
      status < 300 ? kind.receive(payload) : failed(new SignalboxError(payload));
    const exchange = open.get(id);
    if (exchange) receive(exchange);
    else if (code === 'stream_closed') {
      for (const one of open.values()) if (one.kind.stays && one.stream === stream) receive(one);
    }
    // A number is the id of a request whose caller no longer waits; a text is not one of this client's ids.
    else if (!((id as number) > 0))
      if (action === 'drain') drain(new SignalboxError(payload).retryAfter);
      else if (action !== 'ping') tellFrame(payload, stream);
  };

  const renewed = (stop?: ConnectionStatus): void => {
    desk.stop = stop;
    // Sends subscriptions first, so that they receive the events that the requests cause.
    for (const stays of [true, false])
      for (const exchange of [...open.values()]) if (exchange.kind.stays === stays) exchange.renew();
  };

  const [connection, send, drain] = createConnection(url, options, received, renewed);
  const desk: Desk = { options, open, send, lastId: 0 };
  if (!options.lazy) connection.$reconnect();

  return Object.assign(connection, {
    $onFrame,
    $request: request.bind(null, desk) as never,
    $subscribe: subscribe.bind(null, desk) as never,
  });
}

interface Envelope {
  readonly stream: string | null;
  readonly payload: ReplyFrame;
}

/** Parses a frame; returns binary data, and text that is no JSON, unchanged. */
function parse(data: unknown): (Envelope & ReplyFrame) | null {
  try {
    return JSON.parse(data as string);
  } catch {
    return data as never;
  }
}
