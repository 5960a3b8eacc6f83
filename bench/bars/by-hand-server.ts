import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { serveGauges } from './gauges.js';
import { now } from './moment.js';
import { userOfToken } from './tokens.js';

interface Request {
  readonly action: string;
  readonly request_id: number;
  readonly topic: number;
  readonly number: number;
  readonly events: number;
  readonly text: string;
}

/** What somebody would write by hand for just this: no checks, no limits, no database. */
const topics = new Map<number, Map<WebSocket, number>>();
const sockets = new Set<WebSocket>();
const answered = new WeakSet<WebSocket>();
const webSockets = new WebSocketServer({ noServer: true, clientTracking: false, maxPayload: 65_536 });
const server = createServer();
let rows = 0;

server.on('upgrade', (request, socket, head) => {
  const [, token = ''] = (request.headers.authorization ?? '').split(' ');
  if (request.url === '/user/' && userOfToken(token) === undefined) return socket.destroy();
  webSockets.handleUpgrade(request, socket, head, serve);
});

function serve(socket: WebSocket): void {
  const followed = new Set<number>();
  sockets.add(socket);
  answered.add(socket);
  socket.on('error', () => {});
  socket.on('pong', () => answered.add(socket));
  socket.on('close', () => {
    sockets.delete(socket);
    for (const topic of followed) topics.get(topic)?.delete(socket);
  });
  socket.on('message', (text) => {
    const request = JSON.parse(String(text)) as Request;
    if (request.action === 'subscribe_topic') follow(socket, request, followed);
    if (request.action === 'publish') publish(request);
    reply(socket, request);
  });
}

function follow(socket: WebSocket, { topic, request_id }: Request, followed: Set<number>): void {
  const followers = topics.get(topic) ?? new Map<WebSocket, number>();
  topics.set(topic, followers.set(socket, request_id));
  followed.add(topic);
}

function publish({ topic, number, events, text }: Request): void {
  for (let each = 0; each < events; each += 1) {
    rows += 1;
    const data = JSON.stringify({ id: rows, topic, number: number + each, at: now(), text });
    for (const [socket, id] of topics.get(topic) ?? [])
      socket.send(`{"errors":[],"data":${data},"action":"create","response_status":200,"request_id":${id}}`);
  }
}

function reply(socket: WebSocket, { action, request_id, ...kwargs }: Request): void {
  const data = action === 'echo' ? kwargs : null;
  socket.send(JSON.stringify({ errors: [], data, action, response_status: 200, request_id }));
}

setInterval(() => {
  for (const socket of sockets) {
    if (!answered.delete(socket)) socket.terminate();
    else socket.ping();
  }
}, 25_000);

server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 });
await once(server, 'listening');
serveGauges((server.address() as AddressInfo).port);
