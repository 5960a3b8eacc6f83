import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { type WebSocket, WebSocketServer } from 'ws';

interface Request {
  readonly action: string;
  readonly request_id: number;
}

/** What somebody would write by hand for just this. */
const pool = new pg.Pool({ connectionString: process.argv[2] });
await pool.query('create table raw_note (id serial primary key, text varchar(255) not null)');
const server = new WebSocketServer({ port: 0, clientTracking: false });
await once(server, 'listening');
const subscribers = new Map<WebSocket, number>();

server.on('connection', (socket) => {
  socket.on('close', () => subscribers.delete(socket));
  socket.on('message', (text) => void answer(socket, JSON.parse(String(text)) as Request));
});

async function answer(socket: WebSocket, { action, request_id, ...kwargs }: Request): Promise<void> {
  if (action === 'subscribe_notes') subscribers.set(socket, request_id);
  if (action === 'create_note') await createNote();
  const data = action === 'echo' ? kwargs : null;
  socket.send(JSON.stringify({ errors: [], data, action, response_status: 200, request_id }));
}

async function createNote(): Promise<void> {
  const { rows } = await pool.query('insert into raw_note (text) values ($1) returning id, text', [
    'a note of some length, as people write them',
  ]);
  const data = JSON.stringify(rows[0]);
  for (const [socket, id] of subscribers) {
    socket.send(`{"errors":[],"data":${data},"action":"create","response_status":200,"request_id":${id}}`);
  }
}

process.send?.({ port: (server.address() as AddressInfo).port });
