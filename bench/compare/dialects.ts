import type { Client } from '../bars/client.js';

/** What the generator asks of a server, whatever its wire looks like. */
export interface Request {
  readonly action:
    | 'echo'
    | 'retrieve'
    | 'list'
    | 'list_counted'
    | 'patch'
    | 'create'
    | 'delete'
    | 'subscribe'
    | 'subscribe_instance';
  readonly pk?: number;
  readonly limit?: number;
  readonly offset?: number;
  readonly data?: object;
}

/** A frame of a server: `id` is that of the request it answers, undefined for an event. */
export interface Message {
  readonly id?: number;
  readonly isOk: boolean;
  readonly data: unknown;
}

/** How a server's requests, replies and events are written as text. */
export interface Dialect {
  readonly path: string;
  /** What the server sends to hear whether the client is alive, and the answer. */
  readonly ping?: string;
  readonly pong?: string;
  /** What follows the WebSocket handshake. */
  greet?(client: Client): Promise<void>;
  encode(id: number, request: Request): string;
  decode(text: string): Message;
}

interface DcrfFrame {
  readonly action: string;
  readonly request_id: number;
  readonly response_status: number;
  readonly data: unknown;
}

const dcrf: Dialect = {
  path: '/',
  encode: (request_id, { action, ...kwargs }) => JSON.stringify({ action, request_id, ...kwargs }),
  decode(text) {
    const { action, request_id, response_status, data }: DcrfFrame = JSON.parse(text);
    return { ...(action !== 'update' && { id: request_id }), isOk: response_status < 300, data };
  },
};

const nest: Dialect = {
  path: '/',
  encode: (request_id, { action, ...kwargs }) => JSON.stringify({ event: action, data: { request_id, ...kwargs } }),
  decode(text) {
    const { event, data }: { event: string; data: DcrfFrame } = JSON.parse(text);
    if (event === 'update') return { isOk: true, data };
    return { id: data.request_id, isOk: data.response_status < 300, data: data.data };
  },
};

/** Packets of Engine.IO 4 with packets of Socket.IO 5 inside: `42<id>[name, …]` is answered with `43<id>[…]`. */
const engine = {
  path: '/socket.io/?EIO=4&transport=websocket',
  ping: '2',
  pong: '3',
  async greet(client: Client): Promise<void> {
    if (client.received === 0) await client.nextOnes(1);
    const connected = client.nextOnes(1);
    client.sendText('40');
    await connected;
  },
};

function readPacket(text: string): { readonly id?: number; readonly content: readonly unknown[] } {
  const begin = text.indexOf('[');
  const content = JSON.parse(text.slice(begin));
  return text.startsWith('43') ? { id: Number(text.slice(2, begin)), content } : { content };
}

const socketIo: Dialect = {
  ...engine,
  encode: (id, { action, ...kwargs }) => `42${id}${JSON.stringify([action, kwargs])}`,
  decode(text) {
    const { id, content } = readPacket(text);
    if (id === undefined) return { isOk: true, data: content[1] };
    const { status, data } = content[0] as { status: number; data: unknown };
    return { id, isOk: status < 300, data };
  },
};

const feathers: Dialect = {
  ...engine,
  encode: (id, request) => `42${id}${JSON.stringify(feathersCall(request))}`,
  decode(text) {
    const { id, content } = readPacket(text);
    if (id === undefined) return { isOk: true, data: content[1] };
    const [error, data] = content;
    return { id, isOk: !error, data };
  },
};

function feathersCall({ action, pk, limit, offset, data }: Request): readonly unknown[] {
  const query = { $limit: limit, $skip: offset, $sort: { id: 1 } };
  switch (action) {
    case 'echo':
      return ['create', 'echo', data, {}];
    case 'retrieve':
      return ['get', 'people', pk, {}];
    case 'list':
      return ['find', 'people', query];
    case 'list_counted':
      return ['find', 'counted', query];
    case 'patch':
      return ['patch', 'people', pk, data, {}];
    case 'create':
      return ['create', 'people', data, {}];
    case 'delete':
      return ['remove', 'people', pk, {}];
    default:
      return ['create', 'subscriptions', { pk }, {}];
  }
}

export const dialects = { dcrf, nest, socketIo, feathers };
