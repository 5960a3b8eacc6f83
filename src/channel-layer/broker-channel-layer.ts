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

/** Options of the channel layers whose messages go through a server: `NotifyChannelLayer` and `RedisChannelLayer`. */
export interface BrokerOptions extends ChannelLayerOptions {
  /**
   * How long the server may take to connect, and to answer, in milliseconds. Then what waits for it is refused with
   * `ChannelLayerUnavailable`, and the connection is made anew. Default 5 000.
   */
  readonly timeLimit?: number;
  /** How often the server is asked whether it still answers, in milliseconds. Default 10 000. */
  readonly heartbeat?: number;
}

const defaults = { ...layerDefaults, timeLimit: 5_000, heartbeat: 10_000 };

/** One connection to the server, from its opening to its end. */
export interface BrokerConnection {
  /** Resolves once what is published under these keys arrives here. */
  subscribe(keys: readonly string[]): Promise<void>;
  unsubscribe(key: string): void;
  /** Called in the order of sending, without a wait in between. Resolves once the server has taken it. */
  publish(key: string, text: string): Promise<void>;
  /** Resolves once everything has arrived here that the server took before. */
  flush(): Promise<void>;
}

/** What becomes of one connection. */
export interface BrokerEvents {
  received(key: string, text: string): void;
  /** What came cannot be read. */
  unreadable(error: unknown): void;
  /** The connection has ended, or cannot be trusted any more. */
  lost(error: unknown): void;
  /** Aborted when the connection is to be closed, also while it is being opened. */
  readonly signal: AbortSignal;
}

/** Milliseconds until the next attempt to connect: at first, and at most. */
const firstRetry = 100;
const longestRetry = 2_000;

/** Milliseconds after which a connection counts as healthy: it is made anew at once when it is lost. */
const healthyTime = 1_000;

/**
 * A channel layer whose messages go through a server. It subscribes to one key for each group that has members in this process, and to
 * one for the process. Where the connection is lost, it is made anew and subscribes again; then the gap is told.
 */
export abstract class BrokerChannelLayer extends ChannelLayer {
  readonly #options: Required<BrokerOptions>;
  readonly #channels: LocalChannels;
  /** What all calls wait for, in their order: the connection, or why there is none. Undefined before the first call. */
  #connection: Promise<BrokerConnection> | undefined;
  /** Undefined while there is no connection. */
  #current:
    | { readonly connection: BrokerConnection; readonly life: AbortController; readonly since: number }
    | undefined;
  /** By key, those that this connection has subscribed to, or is about to. */
  readonly #subscribed = new Map<string, Promise<void>>();
  #hasGap = false;
  #isOverflowing = false;
  /** That of the last attempt to connect. */
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

  /** Opens one connection. A time limit is not its concern; on abort it closes what is there so far. */
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

  /** Resolves once everything that was accepted has been handed over, here and to the server. */
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
    // The last member left while the connection was being made.
    else this.#leave(groupOf(key));
  }

  /** Only what no layer has sent cannot be read. */
  #guard(handed: Promise<void> | undefined): void {
    handed?.catch((error) => this.tellFailure(error));
  }

  /** What arrives faster than it can be handed over is dropped until the rest has been, rather than take the memory of the process. */
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

  /** Where no member of the group is left here. */
  #leave(group: string): void {
    if (this.#channels.hasGroup(group)) return;
    const key = keyOfGroup(group);
    this.#subscribed.delete(key);
    this.#current?.connection.unsubscribe(key);
  }

  /** A caller that was refused hears of the gap when the server is back. */
  #refused(error: unknown): ChannelLayerUnavailable {
    this.#hasGap = true;
    return unavailable(error);
  }

  // The connection

  /** The first attempt is waited for, and the first one after a loss; while those after it fail, calls are refused at once. */
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

  /** @throws what keeps a connection from being made in time, with all that the channels of this process are to hear */
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
    const timer = setInterval(() => void this.#listenForHeartbeat(connection, life), this.#options.heartbeat).unref();
    life.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
    this.#current = { connection, life, since: performance.now() };
  }

  /** A connection that has died without a word is silent, and so is one over which nothing is sent. */
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

/** One for each caller, since the time after which to try again is by chance. */
function unavailable(error: unknown): ChannelLayerUnavailable {
  return new ChannelLayerUnavailable(undefined, { cause: error });
}
