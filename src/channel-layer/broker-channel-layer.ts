import { runDetached } from '../async-context.js';
import { type Limit, machineDeadlines } from '../clock.js';
import { ChannelLayerUnavailable } from '../errors.js';
import {
  ChannelLayer,
  type ChannelMessage,
  type ChannelReceiver,
  checkGroupName,
  type GroupMessage,
} from './channel-layer.js';
import {
  allSent,
  type ChannelLayerOptions,
  completeOptions,
  isClosed,
  layerDefaults,
  tooMuchWaits,
} from './layer-options.js';
import { LocalChannels, processOf } from './local-channels.js';
import { encodeMessage } from './message-text.js';

/** Options of the channel layers that send messages through a server: `NotifyChannelLayer` and `RedisChannelLayer`. */
export interface BrokerOptions extends ChannelLayerOptions {
  /**
   * How long the server may take to connect, and to answer, in milliseconds. After that, waiting calls are refused with
   * `ChannelLayerUnavailable`, and the layer reconnects. Default: 5 000.
   */
  readonly timeLimit?: number;
  /** The interval in which the layer checks whether the server still answers, in milliseconds. Default: 10 000. */
  readonly heartbeat?: number;
}

const defaults = { ...layerDefaults, timeLimit: 5_000, heartbeat: 10_000 };

/** One connection to the server, from its opening to its end. */
export interface BrokerConnection {
  /** Resolves when messages to these keys arrive here. */
  subscribe(keys: readonly string[]): Promise<void>;
  unsubscribe(key: string): void;
  /** Sends a message. Calls come in the order of sending, without a wait between them. Resolves when the server has taken the message. */
  publish(key: string, text: string): Promise<void>;
  /** Resolves when everything that the server took before has arrived here. */
  flush(): Promise<void>;
}

/** Callbacks of one connection. */
export interface BrokerEvents {
  received(key: string, text: string): void;
  /** Called with the error of a message that cannot be read. */
  unreadable(error: unknown): void;
  /** Called when the connection has ended, or is no longer reliable. */
  lost(error: unknown): void;
  /** Aborted when the connection has to close, also while it is being opened. */
  readonly signal: AbortSignal;
}

/** The first and the longest wait before reconnecting, in milliseconds. */
const firstRetry = 100;
const longestRetry = 2_000;

/** Milliseconds after which a connection counts as healthy: if it is lost then, the layer reconnects at once. */
const healthyTime = 1_000;

/**
 * A channel layer that sends messages through a server. It subscribes to one key for each group with members in this process, and to one
 * key for the process. If the connection is lost, it reconnects, subscribes again and then reports the gap.
 */
export abstract class BrokerChannelLayer extends ChannelLayer {
  readonly #options: Required<BrokerOptions>;
  readonly #channels: LocalChannels;
  /** The connection, or the reason why there is none: all calls await it, in their order. Undefined before the first call. */
  #connection: Promise<BrokerConnection> | undefined;
  /** Undefined while there is no connection. */
  #current:
    | { readonly connection: BrokerConnection; readonly life: AbortController; readonly since: number }
    | undefined;
  /** The keys that this connection has subscribed to, or is about to. */
  readonly #subscribed = new Map<string, Promise<void>>();
  #hasGap = false;
  #isOverflowing = false;
  /** Ends the last attempt to connect. */
  #life: AbortController | undefined;
  #retryAfter = firstRetry;
  #timer: NodeJS.Timeout | undefined;
  /** Bytes of messages that the server has not taken yet. */
  #waiting = 0;
  #lastSent: Promise<unknown> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: BrokerOptions) {
    super();
    this.#options = completeOptions(this.constructor.name, defaults, options);
    this.#channels = new LocalChannels(this.#options.slice, (error) => this.tellFailure(error));
  }

  /** Opens one connection. It needs no time limit of its own; on abort it closes what it has opened. */
  protected abstract open(events: BrokerEvents): Promise<BrokerConnection>;

  /** How many groups applications have in this process. */
  get groupCount(): number {
    return this.#channels.groupCount;
  }

  newChannel(): string {
    return this.#channels.newChannel();
  }

  async connect(channel: string, receiver: ChannelReceiver): Promise<void> {
    this.#requireOpen();
    this.#channels.connect(channel, receiver);
    try {
      await this.#connected();
    } catch (error) {
      this.#channels.disconnect(channel);
      throw this.#refused(error);
    }
  }

  async disconnect(channel: string): Promise<void> {
    for (const group of this.#channels.disconnect(channel)) this.#leave(group);
  }

  async add(group: string, channel: string): Promise<void> {
    checkGroupName(group);
    this.#requireOpen();
    if (!this.#channels.isConnected(channel)) return;
    this.#channels.add(group, channel);
    try {
      await this.#subscribe(keyOfGroup(group));
    } catch (error) {
      this.#channels.discard(group, channel);
      this.#leave(group);
      throw this.#refused(error);
    }
  }

  async discard(group: string, channel: string): Promise<void> {
    this.#channels.discard(group, channel);
    this.#leave(group);
  }

  async send(channel: string, message: ChannelMessage): Promise<void> {
    this.#requireOpen();
    const { text, size } = encodeMessage(message, this.#options.largestMessage);
    const process = processOf(channel);
    if (process !== undefined) await this.#publish(keyOfProcess(process), `${channel} ${text}`, size);
  }

  async sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkGroupName(group);
    this.#requireOpen();
    const { text, size } = encodeMessage(message, this.#options.largestMessage);
    await this.#publish(keyOfGroup(group), text, size);
  }

  async sendAll(messages: readonly GroupMessage[]): Promise<void> {
    await allSent(messages.map(({ group, message }) => this.sendToGroup(group, message)));
  }

  override async check(): Promise<void> {
    const connection = await this.#connected();
    await this.#inTime(connection, connection.flush());
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await machineDeadlines.settles(this.#drained(), this.#options.timeLimit);
    clearTimeout(this.#timer);
    this.#life?.abort(isClosed());
    this.#current = undefined;
    this.#channels.clear();
  }

  /** Resolves when all accepted messages have been handed over, here and to the server. */
  async #drained(): Promise<void> {
    await this.#lastSent?.catch(() => {});
    await this.#current?.connection.flush();
    await this.#channels.idle();
  }

  #requireOpen(): void {
    if (this.#closing) throw isClosed();
  }

  // What is sent, and what arrives

  async #publish(key: string, text: string, size: number): Promise<void> {
    const { largestBacklog } = this.#options;
    if (this.#waiting + size > largestBacklog) throw tooMuchWaits(largestBacklog);
    this.#waiting += size;
    const sent = this.#connected().then((connection) => this.#inTime(connection, connection.publish(key, text)));
    this.#lastSent = sent;
    try {
      await sent;
    } catch (error) {
      throw unavailable(error);
    } finally {
      this.#waiting -= size;
    }
  }

  #receive(key: string, text: string): void {
    const { largestBacklog } = this.#options;
    const size = Buffer.byteLength(text);
    if (this.#channels.waiting + size > largestBacklog) this.#overflow(largestBacklog);
    else if (key === keyOfProcess(this.#channels.process)) this.#receiveForChannel(text, size);
    else this.#receiveForGroup(key, text, size);
  }

  #receiveForChannel(text: string, size: number): void {
    const end = text.indexOf(' ');
    this.#guard(this.#channels.send(text.slice(0, end), text.slice(end + 1), size));
  }

  #receiveForGroup(key: string, text: string, size: number): void {
    const handed = this.#channels.sendToGroup(groupOf(key), text, size);
    if (handed) this.#guard(handed);
    // The last member left while the layer was connecting.
    else this.#leave(groupOf(key));
  }

  /** Reports messages that cannot be read; no layer sends such messages. */
  #guard(handed: Promise<void> | undefined): void {
    handed?.catch((error) => this.tellFailure(error));
  }

  /**
   * Drops messages that arrive faster than they can be handed over, until the waiting ones are handed over: otherwise they would fill the
   * memory of the process.
   */
  #overflow(limit: number): void {
    if (this.#isOverflowing) return;
    this.#isOverflowing = true;
    this.tellFailure(tooMuchWaits(limit));
    void this.#channels.idle().then(() => {
      this.#isOverflowing = false;
      this.tellGap();
    });
  }

  // Memberships

  #subscribe(key: string): Promise<void> {
    const known = this.#subscribed.get(key);
    if (known) return known;
    const subscribed = this.#connected().then((connection) => this.#inTime(connection, connection.subscribe([key])));
    this.#subscribed.set(key, subscribed);
    subscribed.catch(() => this.#subscribed.get(key) === subscribed && this.#subscribed.delete(key));
    return subscribed;
  }

  /** Unsubscribes from a group that has no member left here. */
  #leave(group: string): void {
    if (this.#channels.hasGroup(group)) return;
    const key = keyOfGroup(group);
    this.#subscribed.delete(key);
    this.#current?.connection.unsubscribe(key);
  }

  /** The error of a refused caller, which is notified of the gap when the server can be reached again. */
  #refused(error: unknown): ChannelLayerUnavailable {
    this.#hasGap = true;
    return unavailable(error);
  }

  // The connection

  /** The connection. Calls await the first attempt, and the first one after a loss; if that fails, later calls are refused at once. */
  #connected(): Promise<BrokerConnection> {
    this.#connection ??= this.#attempt();
    return this.#connection;
  }

  #attempt(): Promise<BrokerConnection> {
    const attempt = runDetached(() => this.#open());
    attempt.then(
      () => this.#tellOfGap(),
      (error) => {
        if (!this.#closing) this.tellFailure(unavailable(error));
        this.#retryLater();
      },
    );
    return attempt;
  }

  #retryLater(): void {
    if (this.#closing) return;
    const delay = this.#retryAfter * (0.5 + Math.random() / 2);
    this.#retryAfter = Math.min(this.#retryAfter * 2, longestRetry);
    this.#timer = runDetached(() => setTimeout(() => void this.#retry(), delay)).unref();
  }

  async #retry(): Promise<void> {
    try {
      this.#connection = Promise.resolve(await this.#open());
    } catch {
      this.#retryLater();
      return;
    }
    this.#tellOfGap();
  }

  #tellOfGap(): void {
    if (!this.#hasGap) return;
    this.#hasGap = false;
    this.tellGap();
  }

  /** @throws the reason if no connection, with everything that the channels of this process subscribe to, is made in time */
  async #open(): Promise<BrokerConnection> {
    const life = new AbortController();
    this.#life = life;
    const ended = Promise.withResolvers<never>();
    life.signal.addEventListener('abort', () => ended.reject(life.signal.reason), { once: true });
    try {
      const opened = Promise.race([this.#openWithMembers(life), ended.promise]);
      const { connection, keys } = await machineDeadlines.limit(opened, this.#limit());
      this.#begin(connection, life, keys);
      return connection;
    } catch (error) {
      life.abort(error);
      throw error;
    }
  }

  async #openWithMembers(life: AbortController): Promise<{ connection: BrokerConnection; keys: readonly string[] }> {
    const connection = await this.open({
      signal: life.signal,
      received: (key, text) => life.signal.aborted || this.#receive(key, text),
      unreadable: (error) => this.tellFailure(error),
      lost: (error) => this.#lose(life, error),
    });
    const keys = [keyOfProcess(this.#channels.process), ...this.#channels.groups.map(keyOfGroup)];
    await connection.subscribe(keys);
    return { connection, keys };
  }

  #begin(connection: BrokerConnection, life: AbortController, keys: readonly string[]): void {
    for (const key of keys) this.#subscribed.set(key, Promise.resolve());
    const listen = (): void => void this.#listenForHeartbeat(connection, life);
    const timer = runDetached(() => setInterval(listen, this.#options.heartbeat)).unref();
    life.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    this.#current = { connection, life, since: performance.now() };
  }

  /** Checks the connection at intervals: one that has died silently looks like one over which nothing is sent. */
  async #listenForHeartbeat(connection: BrokerConnection, life: AbortController): Promise<void> {
    try {
      await this.#inTime(connection, connection.flush());
    } catch (error) {
      this.#lose(life, error);
    }
  }

  #lose(life: AbortController, error: unknown): void {
    if (life.signal.aborted) return;
    life.abort(error);
    if (this.#current?.life !== life) return;
    const wasHealthy = performance.now() - this.#current.since >= healthyTime;
    this.#current = undefined;
    this.#subscribed.clear();
    this.#hasGap = true;
    if (wasHealthy) this.#retryAfter = firstRetry;
    if (this.#closing) return;
    this.tellFailure(unavailable(error));
    if (wasHealthy) {
      this.#connection = this.#attempt();
      return;
    }
    this.#connection = Promise.reject(error);
    this.#connection.catch(() => {});
    this.#retryLater();
  }

  #inTime<T>(connection: BrokerConnection, answer: Promise<T>): Promise<T> {
    const { milliseconds, error } = this.#limit();
    const give = (): Error => {
      const late = error();
      if (this.#current?.connection === connection) this.#lose(this.#current.life, late);
      return late;
    };
    return machineDeadlines.limit(answer, { milliseconds, error: give });
  }

  #limit(): Limit {
    const { timeLimit: milliseconds } = this.#options;
    const error = (): Error => new Error(`The server of the channel layer did not answer within ${milliseconds} ms.`);
    return { milliseconds, error };
  }
}

const groupPrefix = 'g:';

function keyOfGroup(group: string): string {
  return groupPrefix + group;
}

function groupOf(key: string): string {
  return key.slice(groupPrefix.length);
}

function keyOfProcess(process: string): string {
  return `p:${process}`;
}

/** A new error for each caller, because its retry time is random. */
function unavailable(error: unknown): ChannelLayerUnavailable {
  return new ChannelLayerUnavailable(undefined, { cause: error });
}
