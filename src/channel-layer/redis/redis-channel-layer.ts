import { createClient, type RedisClientOptions } from 'redis';
import {
  BrokerChannelLayer,
  type BrokerConnection,
  type BrokerEvents,
  type BrokerOptions,
} from '../broker-channel-layer.js';

/** Options of `RedisChannelLayer`. */
export interface RedisChannelLayerOptions extends BrokerOptions {
  /**
   * What the names of all channels in Redis begin with. Applications that share a Redis need one each: its databases do not keep
   * messages apart. Default `signalbox:`.
   */
  readonly prefix?: string;
}

type Client = ReturnType<typeof clientFor>;

/** To how many names one command subscribes. */
const subscribedAtOnce = 1_000;

/**
 * The channel layer of several processes, over classic pub/sub of Redis or Valkey. It has two connections, one to receive and one to
 * send.
 *
 * ```ts
 * const app = createApp({ …, channelLayer: new RedisChannelLayer('redis://localhost:6379') });
 * ```
 */
export class RedisChannelLayer extends BrokerChannelLayer {
  readonly #server: RedisClientOptions;
  readonly #prefix: string;
  /** Never connects. A client that is made from options makes a class with all commands of Redis, its copies share it. */
  #original: Client | undefined;

  /** @param server its address, or the options of node-redis; how to reconnect is the layer's own affair */
  constructor(
    server: string | RedisClientOptions,
    { prefix = 'signalbox:', ...options }: RedisChannelLayerOptions = {},
  ) {
    super(options);
    this.#server = typeof server === 'string' ? { url: server } : server;
    this.#prefix = prefix;
  }

  protected async open(events: BrokerEvents): Promise<BrokerConnection> {
    this.#original ??= clientFor(this.#server);
    const receiver = copyOf(this.#original, events);
    const sender = copyOf(this.#original, events);
    await Promise.all([receiver.connect(), sender.connect()]);
    const prefix = this.#prefix;
    const hear = (text: string, name: string): void => events.received(name.slice(prefix.length), text);
    return {
      async subscribe(keys) {
        const names = keys.map((key) => prefix + key);
        const commands: Promise<void>[] = [];
        for (let start = 0; start < names.length; start += subscribedAtOnce)
          commands.push(receiver.subscribe(names.slice(start, start + subscribedAtOnce), hear));
        await Promise.all(commands);
      },
      unsubscribe(key) {
        receiver.unsubscribe(prefix + key, hear).catch(events.lost);
      },
      async publish(key, text) {
        await sender.publish(prefix + key, text);
      },
      // Redis has put what it took before into the buffer of the receiver, and answers behind it.
      async flush() {
        await sender.ping();
        await receiver.ping();
      },
    };
  }
}

/** What the client cannot send at once it refuses. */
function clientFor(server: RedisClientOptions) {
  return createClient({
    ...server,
    socket: { ...server.socket, reconnectStrategy: false },
    disableOfflineQueue: true,
    // The move to another server loses messages, and would be silent.
    maintNotifications: 'disabled',
  });
}

/** The copy lives as long as one connection. */
function copyOf(original: Client, { lost, signal }: BrokerEvents): Client {
  const client = original.duplicate();
  client.on('error', lost);
  client.on('end', () => lost(new Error('Redis ended the connection.')));
  signal.addEventListener('abort', () => end(client), { once: true });
  return client;
}

function end(client: Client): void {
  if (client.isOpen) client.destroy();
}
