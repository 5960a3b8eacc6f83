import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Server } from 'socket.io';
import { isNewPerson, isPatch } from './people.js';
import { peopleBySql } from './people-by-sql.js';
import { announce } from './serve.js';

interface Kwargs {
  readonly pk: number;
  readonly limit: number;
  readonly offset: number;
  readonly data: unknown;
}

type Acknowledge = (reply: { readonly status: number; readonly data?: unknown }) => void;

const people = await peopleBySql();
const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false });

io.on('connection', (socket) => {
  socket.on('echo', ({ data }: Kwargs, reply: Acknowledge) => reply({ status: 200, data }));
  socket.on('retrieve', async ({ pk }: Kwargs, reply: Acknowledge) => {
    const data = await people.retrieve(pk);
    reply(data ? { status: 200, data } : { status: 404 });
  });
  socket.on('list', async ({ limit, offset }: Kwargs, reply: Acknowledge) => {
    reply({ status: 200, data: { results: await people.list(limit, offset), limit, offset } });
  });
  socket.on('list_counted', async ({ limit, offset }: Kwargs, reply: Acknowledge) => {
    const [count, results] = await Promise.all([people.count(), people.list(limit, offset)]);
    reply({ status: 200, data: { count, results, limit, offset } });
  });
  socket.on('patch', async ({ pk, data }: Kwargs, reply: Acknowledge) => {
    if (!isPatch(data)) return reply({ status: 400 });
    const person = await people.patch(pk, data);
    if (!person) return reply({ status: 404 });
    reply({ status: 200, data: person });
    io.to(['people', `person-${pk}`]).emit('update', person);
  });
  socket.on('create', async ({ data }: Kwargs, reply: Acknowledge) => {
    reply(isNewPerson(data) ? { status: 201, data: await people.create(data) } : { status: 400 });
  });
  socket.on('delete', async ({ pk }: Kwargs, reply: Acknowledge) => {
    reply({ status: Number.isInteger(pk) && (await people.delete(pk)) ? 204 : 404 });
  });
  socket.on('subscribe', (_: Kwargs, reply: Acknowledge) => {
    socket.join('people');
    reply({ status: 201 });
  });
  socket.on('subscribe_instance', ({ pk }: Kwargs, reply: Acknowledge) => {
    socket.join(`person-${pk}`);
    reply({ status: 201 });
  });
});

http.listen({ port: 0, host: '127.0.0.1' });
await once(http, 'listening');
announce((http.address() as AddressInfo).port);
