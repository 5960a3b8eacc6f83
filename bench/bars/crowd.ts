import { Client, type ClientOptions } from './client.js';

/** The topic that everybody follows. */
export const common = 0;

/** The other topics, each of which a part of the crowd follows. */
const others = 1_000;

/** So many handshakes are under way at once. */
const abreast = 200;

export interface CrowdOptions extends Omit<ClientOptions, 'source'> {
  readonly size: number;
  readonly subscriptions?: number;
  readonly headersOf?: (index: number) => Readonly<Record<string, string>>;
  readonly topicOf?: (index: number, each: number) => number;
  /** Told of each handshake's milliseconds. */
  readonly onOpened?: (milliseconds: number) => void;
}

/** Connects so many clients, each with its subscriptions, and resolves once all have been answered. */
export async function gather(options: CrowdOptions): Promise<readonly Client[]> {
  const clients: Client[] = [];
  let next = 0;
  const connectSome = async (): Promise<void> => {
    while (next < options.size) {
      const index = next++;
      clients[index] = await join(index, options);
    }
  };
  await Promise.all(Array.from({ length: abreast }, connectSome));
  return clients;
}

/** Ends all of them, and waits until the server has seen it. */
export async function disperse(clients: readonly Client[]): Promise<void> {
  const gone = clients.map((client) => new Promise((resolve) => client.socket.once('close', resolve)));
  for (const client of clients) client.end();
  await Promise.all(gone);
}

async function join(index: number, options: CrowdOptions): Promise<Client> {
  const { subscriptions = 0, headersOf, topicOf = defaultTopic, onOpened } = options;
  const begun = performance.now();
  const client = await Client.open({ ...options, source: index, ...(headersOf && { headers: headersOf(index) }) });
  onOpened?.(performance.now() - begun);
  if (subscriptions === 0) return client;
  const replies = client.nextOnes(subscriptions);
  client.send(
    ...Array.from({ length: subscriptions }, (_, each) => ({
      action: 'subscribe_topic',
      request_id: each,
      topic: topicOf(index, each),
    })),
  );
  const refused = (await replies).find((reply) => !reply.includes('"errors":[],'));
  if (refused) throw new Error(`A subscription was refused: ${refused}`);
  client.onText = undefined;
  client.onClose = undefined;
  return client;
}

function defaultTopic(index: number, each: number): number {
  return each === 0 ? common : 1 + ((index * 9 + each) % others);
}
