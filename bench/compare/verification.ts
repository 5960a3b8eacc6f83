import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../bars/client.js';
import { call, connect, listen, subscribe } from './conversation.js';
import type { Dialect, Request } from './dialects.js';
import { pageSize, tableSize } from './works.js';

/** Milliseconds, long enough for an event that must not come. */
const silence = 300;

/** What is compared of a list, whatever its server calls it. */
interface Page {
  readonly results?: readonly unknown[];
  readonly data?: readonly unknown[];
  readonly count?: number;
  readonly total?: number;
}

type Ask = (request: Request) => Promise<unknown>;

const change = { email: 'changed@example.com', age: 44 };
const newcomer = { name: 'New', email: 'new@example.com', city: 'Berlin', age: 33, active: true };

/** @throws AssertionError where a reply or event is not what every server has to send */
export async function verify(port: number, dialect: Dialect): Promise<void> {
  const clients = await connect(port, dialect, 3);
  const [client, ...subscribers] = clients;
  assert(client);
  const ask = async (request: Request): Promise<unknown> => {
    const { isOk, data } = await call(client, dialect, request);
    assert(isOk, `${request.action} is refused`);
    return data;
  };
  await verifyReads(ask);
  await verifyWrites(ask);
  const spoilt = await call(client, dialect, { action: 'patch', pk: 43, data: { email: 'no address', age: -1 } });
  assert(!spoilt.isOk, 'A wrong patch is taken');
  await verifyEvents(ask, subscribers, dialect);
  for (const each of clients) each.end();
}

async function verifyReads(ask: Ask): Promise<void> {
  const echoed = { message: 'hello world', number: 7 };
  assert.deepEqual(await ask({ action: 'echo', data: echoed }), echoed);
  assert.deepEqual(await ask({ action: 'retrieve', pk: 42 }), row(42));
  const wanted = Array.from({ length: pageSize }, (_, index) => row(101 + index));
  assert.deepEqual(rowsOf(await ask({ action: 'list', limit: pageSize, offset: 100 })), wanted);
  const counted = await ask({ action: 'list_counted', limit: pageSize, offset: 100 });
  assert.deepEqual(rowsOf(counted), wanted);
  assert.equal((counted as Page).count ?? (counted as Page).total, tableSize);
}

async function verifyWrites(ask: Ask): Promise<void> {
  assert.deepEqual(await ask({ action: 'patch', pk: 43, data: change }), { ...row(43), ...change });
  assert.deepEqual(await ask({ action: 'retrieve', pk: 43 }), { ...row(43), ...change });
  const created = (await ask({ action: 'create', data: newcomer })) as { id: number; joined: string };
  assert.deepEqual(created, { id: tableSize + 1, ...newcomer, joined: created.joined });
  assert(Math.abs(Date.now() - Date.parse(created.joined)) < 60_000);
  assert.deepEqual(await ask({ action: 'retrieve', pk: created.id }), created);
  await ask({ action: 'delete', pk: created.id });
}

/** The one subscribes to a row, the other to the model. */
async function verifyEvents(ask: Ask, subscribers: readonly Client[], dialect: Dialect): Promise<void> {
  const wanted: readonly Request[] = [{ action: 'subscribe_instance', pk: 44 }, { action: 'subscribe' }];
  await subscribe(subscribers, dialect, (index) => wanted[index] ?? { action: 'subscribe' });
  const received = subscribers.map((subscriber) => {
    const events: unknown[] = [];
    listen(subscriber, dialect, (text) => events.push(dialect.decode(text.toString()).data));
    return events;
  });
  for (const pk of [45, 44]) await ask({ action: 'patch', pk, data: change });
  await delay(silence);
  const [other, own] = [45, 44].map((pk) => ({ ...row(pk), ...change }));
  assert.deepEqual(received, [[own], [other, own]]);
}

/** A row as the table begins with it, in JSON. */
function row(id: number): object {
  return {
    id,
    name: `Person ${id}`,
    email: `p${id}@example.com`,
    city: `City ${id}`,
    age: 20 + (id % 60),
    active: id % 7 !== 0,
    joined: new Date(Date.UTC(2024, 0, 1) + id * 1_000).toISOString(),
  };
}

function rowsOf(page: unknown): unknown {
  return Array.isArray(page) ? page : ((page as Page).results ?? (page as Page).data);
}
