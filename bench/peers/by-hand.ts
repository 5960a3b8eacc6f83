import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { isNewPerson, isPatch, type People } from './people.js';
import { announce } from './serve.js';

interface Request {
  readonly action: string;
  readonly request_id: number;
  readonly pk: number;
  readonly limit: number;
  readonly offset: number;
  readonly data: unknown;
}

type Followers = Set<WebSocket>;

/** The loop that one writes for exactly this work: a switch, and the replies of one tick in one write. */
export async function serveByHand(people: People): Promise<void> {
  const ofAll: Followers = new Set();
  const ofRow = new Map<number, Followers>();

  async function answer(socket: WebSocket, request: Request): Promise<[status: number, data: unknown]> {
    const { action, pk, limit, offset, data } = request;
    switch (action) {
      case 'echo':
        return [200, data];
      case 'retrieve': {
        const person = await people.retrieve(pk);
        return person ? [200, person] : [404, null];
      }
      case 'list':
        return [200, { results: await people.list(limit, offset), limit, offset }];
      case 'list_counted': {
        const [count, results] = await Promise.all([people.count(), people.list(limit, offset)]);
        return [200, { count, results, limit, offset }];
      }
      case 'patch': {
        if (!isPatch(data)) return [400, null];
        const person = await people.patch(pk, data);
        if (!person) return [404, null];
        publish(pk, person);
        return [200, person];
      }
      case 'create':
        return isNewPerson(data) ? [201, await people.create(data)] : [400, null];
      case 'delete':
        return [Number.isInteger(pk) && (await people.delete(pk)) ? 204 : 404, null];
      case 'subscribe':
        follow(socket, ofAll);
        return [201, null];
      case 'subscribe_instance':
        follow(socket, followersOf(pk));
        return [201, null];
      default:
        return [405, null];
    }
  }

  function followersOf(pk: number): Followers {
    const followers: Followers = ofRow.get(pk) ?? new Set();
    ofRow.set(pk, followers);
    return followers;
  }

  /** One text for all: unlike Signalbox's events, it does not say which subscription it is for. */
  function publish(pk: number, data: object): void {
    const event = { errors: [], data, action: 'update', response_status: 200, request_id: null };
    const text = Buffer.from(JSON.stringify(event));
    for (const followers of [ofAll, ofRow.get(pk) ?? []])
      for (const socket of followers) socket.send(text, { binary: false });
  }

  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false, clientTracking: false });
  server.on('connection', (socket: WebSocket, { socket: tcp }: IncomingMessage) => {
    socket.on('message', async (text) => {
      const request: Request = JSON.parse(String(text));
      const [response_status, data] = await answer(socket, request);
      const { action, request_id } = request;
      joinWrites(tcp);
      socket.send(JSON.stringify({ errors: [], data, action, response_status, request_id }));
    });
  });
  await once(server, 'listening');
  announce((server.address() as AddressInfo).port);
}

function follow(socket: WebSocket, followers: Followers): void {
  followers.add(socket);
  socket.on('close', () => followers.delete(socket));
}

function joinWrites(tcp: Socket): void {
  if (tcp.writableCorked > 0) return;
  tcp.cork();
  process.nextTick(() => tcp.uncork());
}
