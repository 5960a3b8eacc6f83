import { Client } from '../bars/client.js';
import { gather } from '../bars/crowd.js';
import type { Dialect, Message, Request } from './dialects.js';

/** Connects clients, each past what follows its handshake. */
export async function connect(port: number, dialect: Dialect, size: number): Promise<readonly Client[]> {
  const clients = await gather({ port, path: dialect.path, size });
  await Promise.all(clients.map((client) => dialect.greet?.(client)));
  return clients;
}

/** Gives every text but those that ask whether the client is alive. */
export function listen(client: Client, { ping, pong }: Dialect, take: (text: Buffer) => void): void {
  client.onText = (text) => {
    const isPing = ping !== undefined && text.length === ping.length && text.toString() === ping;
    if (isPing) client.sendText(pong ?? '');
    else take(text);
  };
}

/** Sends one request and gives its reply. Events that come meanwhile are dropped. */
export function call(client: Client, dialect: Dialect, request: Request): Promise<Message> {
  const id = nextId();
  const replied = new Promise<Message>((resolve) => {
    listen(client, dialect, (text) => {
      const message = dialect.decode(text.toString());
      if (message.id === id) resolve(message);
    });
  });
  client.sendText(dialect.encode(id, request));
  return replied;
}

/** @throws Error where one of them is refused */
export async function subscribe(
  clients: readonly Client[],
  dialect: Dialect,
  requestOf: (index: number) => Request,
): Promise<void> {
  const together = 50;
  for (let begin = 0; begin < clients.length; begin += together) {
    const some = clients.slice(begin, begin + together);
    const replies = await Promise.all(some.map((client, index) => call(client, dialect, requestOf(begin + index))));
    if (replies.some(({ isOk }) => !isOk)) throw new Error('A subscription was refused.');
  }
}

let ids = 0;

export function nextId(): number {
  ids += 1;
  return ids;
}
