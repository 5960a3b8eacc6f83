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
   * Prefix of the names of all channels in Redis. Applications that share a Redis need a prefix each, because Redis does not separate
   * messages by database. Default: `signalbox:`.
   */
  readonly prefix?: string;
}

type Client = ReturnType<typeof clientFor>;

/** The number of names that one command subscribes to. */
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
  /** Never connects. A client that is made from options makes a class with all commands of Redis, which its copies share. */
  #original: Client | undefined;

  /** @param server its address, or the options of node-redis; the layer itself decides how to reconnect */
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
      // Redis has already put the messages that it took before into the receiver's buffer, so its answer comes after them.
      async flush() {
        await sender.ping();
        await receiver.ping();
      },
    };
  }
}

/** A client that refuses commands which it cannot send at once. */
function clientFor(server: RedisClientOptions) {
  return createClient({
    ...server,
    socket: { ...server.socket, reconnectStrategy: false },
    disableOfflineQueue: true,
    // Moving to another server would lose messages silently.
    maintNotifications: 'disabled',
  });
}

/** A copy of the client, for one connection. */
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
