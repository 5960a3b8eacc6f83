import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from '../bars/client.js';
import { call, connect, listen, subscribe } from './conversation.js';
import type { Dialect, Message, Request } from './dialects.js';
import { pageSize, tableSize } from './works.js';

/** Long enough for an event that must not come. */
const silence = 300;

/** What is compared of a list, whatever its server calls it. */
interface Page {
  readonly results?: readonly unknown[];
  readonly data?: readonly unknown[];
  readonly count?: number;
  readonly total?: number;
}

const change = { email: 'changed@example.com', age: 44 };
const newcomer = { name: 'New', email: 'new@example.com', city: 'Berlin', age: 33, active: true };

/** @throws AssertionError where a reply or event is not what every server has to send */
export async function verify(port: number, dialect: Dialect): Promise<void> {
  const [client, subscriber] = await connect(port, dialect, 2);
  assert(client && subscriber);
  const ask = async (request: Request): Promise<unknown> => {
    const { isOk, data } = await call(client, dialect, request);
    assert(isOk, `${request.action} is refused`);
    return data;
  };

  const echoed = { message: 'hello world', number: 7 };
  assert.deepEqual(await ask({ action: 'echo', data: echoed }), echoed);
  assert.deepEqual(await ask({ action: 'retrieve', pk: 42 }), row(42));
  const wanted = Array.from({ length: pageSize }, (_, index) => row(101 + index));
  assert.deepEqual(rowsOf(await ask({ action: 'list', limit: pageSize, offset: 100 })), wanted);
  const counted = await ask({ action: 'list_counted', limit: pageSize, offset: 100 });
  assert.deepEqual(rowsOf(counted), wanted);
  assert.equal((counted as Page).count ?? (counted as Page).total, tableSize);

  assert.deepEqual(await ask({ action: 'patch', pk: 43, data: change }), { ...row(43), ...change });
  assert.deepEqual(await ask({ action: 'retrieve', pk: 43 }), { ...row(43), ...change });
  const spoilt = { email: 'no address', age: -1 };
  assert(!(await call(client, dialect, { action: 'patch', pk: 43, data: spoilt })).isOk, 'A wrong patch is taken');
  const created = (await ask({ action: 'create', data: newcomer })) as { id: number; joined: string };
  assert.deepEqual(created, { id: tableSize + 1, ...newcomer, joined: created.joined });
  assert(Math.abs(Date.now() - Date.parse(created.joined)) < 60_000);
  assert.deepEqual(await ask({ action: 'retrieve', pk: created.id }), created);

  await verifyEvents(client, subscriber, dialect, ask);
  for (const each of [client, subscriber]) each.end();
}

async function verifyEvents(
  client: Client,
  subscriber: Client,
  dialect: Dialect,
  ask: (request: Request) => Promise<unknown>,
): Promise<void> {
  const events: Message[] = [];
  const note = (): void => listen(subscriber, dialect, (text) => events.push(dialect.decode(text.toString())));
  await subscribe([subscriber], dialect, () => ({ action: 'subscribe_instance', pk: 44 }));
  note();
  await ask({ action: 'patch', pk: 45, data: change });
  await delay(silence);
  assert.deepEqual(events, []);
  await ask({ action: 'patch', pk: 44, data: change });
  await delay(silence);
  assert.deepEqual(
    events.map(({ data }) => data),
    [{ ...row(44), ...change }],
  );

  await subscribe([client], dialect, () => ({ action: 'subscribe' }));
  const [other] = [subscriber];
  const ofModel: Message[] = [];
  listen(client, dialect, (text) => ofModel.push(dialect.decode(text.toString())));
  const replied = call(other, dialect, { action: 'patch', pk: 46, data: change });
  assert.deepEqual((await replied).data, { ...row(46), ...change });
  await delay(silence);
  assert.deepEqual(
    ofModel.map(({ data }) => data),
    [{ ...row(46), ...change }],
  );
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
