import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

/** A question of `Program` in spec/support/programs.ts. */
interface Question {
  readonly id: number;
  readonly parameters: readonly [first: number, count: number];
}

/** One of several processes that reach each other over Redis. All sockets are in one room. */
const { redis, text }: { readonly redis: string; readonly text: string } = JSON.parse(process.argv[2] ?? '{}');
const [publisher, subscriber] = [createClient({ url: redis }), createClient({ url: redis })];
for (const client of [publisher, subscriber]) {
  client.on('error', (error) => {
    throw error;
  });
}
await Promise.all([publisher.connect(), subscriber.connect()]);
const http = createServer();
const io = new Server(http, {
  transports: ['websocket'],
  serveClient: false,
  perMessageDeflate: false,
  adapter: createAdapter(publisher, subscriber),
});
io.on('connection', (socket) => socket.join('lobby'));

/** The only one: `send`. */
process.on('message', ({ id, parameters: [first, count] }: Question) => {
  const value = Number(process.hrtime.bigint() / 1_000n) / 1_000;
  for (let number = first; number < first + count; number += 1) io.to('lobby').emit('shout', { number, text });
  process.send?.({ id, value });
});
process.on('disconnect', () => process.exit());

http.listen({ port: 0, host: '127.0.0.1' });
await once(http, 'listening');
process.send?.({ ready: { port: (http.address() as AddressInfo).port } });
