import { setTimeout as delay } from 'node:timers/promises';
import { Client, type ClientOptions } from './client.js';

/** The topic that everybody follows. */
export const common = 0;

/** The other topics, each of which a part of the crowd follows. */
const others = 1_000;

/** So many handshakes are under way at once where the server is to have always something to do. */
const abreast = 200;

/** Milliseconds between attempts at most. */
const longestDelay = 30_000;

export interface CrowdOptions extends Omit<ClientOptions, 'source'> {
  readonly size: number;
  readonly subscriptions?: number;
  /**
   * Milliseconds over which they come by chance, twice as many after each failure, as `signalbox/client` does. Without: as fast as
   * the server takes them, and none may fail.
   */
  readonly jitter?: number;
  readonly headersOf?: (index: number) => Readonly<Record<string, string>>;
  readonly topicOf?: (index: number, each: number) => number;
  /** Told of each handshake: how many milliseconds it took, and how many failed before. */
  readonly onOpened?: (milliseconds: number, failures: number) => void;
}

/** Connects so many clients, each with its subscriptions, and resolves once all have been answered. */
export async function gather(options: CrowdOptions): Promise<readonly Client[]> {
  const { size, jitter } = options;
  const indices = Array.from({ length: size }, (_, index) => index);
  return inTurn(indices, jitter === undefined ? abreast : size, (index) => join(index, options));
}

async function inTurn(
  indices: readonly number[],
  together: number,
  work: (index: number) => Promise<Client>,
): Promise<readonly Client[]> {
  const clients: Client[] = [];
  let next = 0;
  const workSome = async (): Promise<void> => {
    while (next < indices.length) {
      const index = next++;
      clients[index] = await work(index);
    }
  };
  await Promise.all(Array.from({ length: together }, workSome));
  return clients;
}

/** Ends all of them, and waits until the server has seen it. */
export async function disperse(clients: readonly Client[]): Promise<void> {
  const gone = clients.map((client) => new Promise((resolve) => client.socket.once('close', resolve)));
  for (const client of clients) client.end();
  await Promise.all(gone);
}

async function join(index: number, options: CrowdOptions): Promise<Client> {
  const { subscriptions = 0, topicOf = defaultTopic } = options;
  const client = await connect(index, options);
  if (subscriptions === 0) return client;
  const replies = client.nextOnes(subscriptions, 'subscribe_topic');
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

async function connect(index: number, options: CrowdOptions): Promise<Client> {
  const { headersOf, onOpened, jitter } = options;
  for (let failures = 0; ; failures += 1) {
    if (jitter !== undefined) await delay(Math.random() * Math.min(longestDelay, jitter * 2 ** failures));
    const begun = performance.now();
    try {
      const client = await Client.open({ ...options, source: index, ...(headersOf && { headers: headersOf(index) }) });
      onOpened?.(performance.now() - begun, failures);
      return client;
    } catch (error) {
      if (jitter === undefined) throw error;
    }
  }
}

function defaultTopic(index: number, each: number): number {
  return each === 0 ? common : 1 + ((index * 9 + each) % others);
}
