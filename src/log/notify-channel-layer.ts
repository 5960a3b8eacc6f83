import {
  BrokerChannelLayer,
  type BrokerConnection,
  type BrokerEvents,
  type BrokerOptions,
} from '../channel-layer/broker-channel-layer.js';
import type { OrmRoot } from '../orm/orm-root.js';
import { Notifications } from './notifications.js';

/** The PostgreSQL channel on which all processes listen. */
const postgresChannel = 'signalbox_messages';

/** The longest payload of a notification, in bytes. */
const longestPayload = 7_999;

/** How many bytes one statement sends; a single longer message still goes alone. */
const largestStatement = 262_144;

/** A message that waits for a statement to send it. */
interface Waiting {
  readonly payloads: readonly string[];
  readonly size: number;
  readonly sent: PromiseWithResolvers<void>;
}

/** A message of which some pieces have arrived. */
interface Incomplete {
  readonly key: string;
  text: string;
}

/**
 * The channel layer of several processes that share only their PostgreSQL, over LISTEN and NOTIFY. All processes receive every message, and
 * drop those for groups without a member of theirs. It shares the connection of the change log's doorbell.
 */
export class NotifyChannelLayer extends BrokerChannelLayer {
  constructor(
    private readonly orm: OrmRoot,
    options: BrokerOptions = {},
  ) {
    // The connection checks itself; this heartbeat only finds a server that accepts messages and delivers none.
    super({ heartbeat: 60_000, ...options });
  }

  protected open(events: BrokerEvents): Promise<BrokerConnection> {
    const notifications = Notifications.of(this.orm);
    const connection = new NotifyConnection(notifications, events);
    return new Promise((resolve, reject) => {
      const stop = notifications.listen(postgresChannel, {
        heard: (payload) => connection.hear(payload),
        up: () => resolve(connection),
        down: (error) => {
          reject(error);
          events.lost(error);
        },
      });
      events.signal.addEventListener('abort', () => void stop(), { once: true });
    });
  }
}

/**
 * A connection over PostgreSQL's notifications; it lasts while they are heard. One statement at a time sends everything that waits. A
 * message that is too long for one notification goes as several in one transaction, which arrive in a row or not at all.
 */
class NotifyConnection implements BrokerConnection {
  readonly #waiting: Waiting[] = [];
  readonly #incomplete = new Map<string, Incomplete>();
  readonly #echoes = new Map<string, () => void>();
  /** PostgreSQL drops equal notifications of one transaction, so each has the number of its message. */
  #number = 0;
  readonly #id = crypto.randomUUID();
  #isSending = false;

  constructor(
    private readonly notifications: Notifications,
    private readonly events: BrokerEvents,
  ) {}

  /** All messages arrive here without a subscription. */
  async subscribe(): Promise<void> {}

  unsubscribe(): void {}

  publish(key: string, text: string): Promise<void> {
    const sent = Promise.withResolvers<void>();
    this.#number += 1;
    const payloads = toPayloads(`${this.#id}.${this.#number}`, key, text);
    const size = payloads.reduce((sum, payload) => sum + payload.length, 0);
    this.#waiting.push({ payloads, size, sent });
    if (!this.#isSending) void this.#send();
    return sent.promise;
  }

  async flush(): Promise<void> {
    const echo = Promise.withResolvers<void>();
    const key = `e:${this.#id}.${this.#number}`;
    this.#echoes.set(key, echo.resolve);
    try {
      await this.publish(key, '');
      await echo.promise;
    } finally {
      this.#echoes.delete(key);
    }
  }

  hear(payload: string): void {
    try {
      this.#hear(payload);
    } catch (error) {
      this.events.unreadable(error);
    }
  }

  #hear(payload: string): void {
    const { id, left, rest } = fromPayload(payload);
    const incomplete = this.#incomplete.get(id) ?? begin(rest);
    if (this.#incomplete.has(id)) incomplete.text += rest;
    if (left > 0) {
      this.#incomplete.set(id, incomplete);
      return;
    }
    this.#incomplete.delete(id);
    const { key, text } = incomplete;
    if (key.startsWith('e:')) this.#echoes.get(key)?.();
    else this.events.received(key, text);
  }

  async #send(): Promise<void> {
    this.#isSending = true;
    // Messages that are sent within this turn of the event loop join this statement.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#sendTogether(this.#take());
    this.#isSending = false;
  }

  #take(): readonly Waiting[] {
    let size = 0;
    const count = this.#waiting.findIndex((one) => {
      size += one.size;
      return size > largestStatement;
    });
    return this.#waiting.splice(0, count === -1 ? this.#waiting.length : Math.max(1, count));
  }

  /**
   * Sends messages one by one after a statement for all of them failed and sent nothing: if the database refuses one message, the others
   * must not fail with it.
   */
  async #sendTogether(messages: readonly Waiting[]): Promise<void> {
    try {
      this.events.signal.throwIfAborted();
      await this.notifications.notify(
        postgresChannel,
        messages.flatMap(({ payloads }) => payloads),
      );
      for (const { sent } of messages) sent.resolve();
    } catch (error) {
      if (messages.length === 1 || this.events.signal.aborted) for (const { sent } of messages) sent.reject(error);
      else for (const message of messages) await this.#sendTogether([message]);
    }
  }
}

/**
 * The payloads of a message: `id left key text`, and if that is too long, the rest of the text as `id left text`; `left` says how many
 * follow.
 */
function toPayloads(id: string, key: string, text: string): readonly string[] {
  // Group names may contain zero characters, which PostgreSQL's texts cannot have, and spaces.
  const whole = `${encodeURIComponent(key)} ${text}`;
  const short = `${id} 0 ${whole}`;
  if (Buffer.byteLength(short) <= longestPayload) return [short];
  const pieces = cut(Buffer.from(whole), longestPayload - id.length - ' 1234567 '.length);
  return pieces.map((piece, index) => `${id} ${pieces.length - 1 - index} ${piece}`);
}

function cut(bytes: Buffer, length: number): readonly string[] {
  const pieces: string[] = [];
  for (let start = 0; start < bytes.length; ) {
    let end = Math.min(start + length, bytes.length);
    // Does not split a character, whose later bytes begin with the bits 10.
    while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
    pieces.push(bytes.toString('utf8', start, end));
    start = end;
  }
  return pieces;
}

/** @throws Error for a payload that no channel layer has sent */
function fromPayload(payload: string): { readonly id: string; readonly left: number; readonly rest: string } {
  const [header, id, left] = /^(\S+) (\d+) /.exec(payload) ?? [];
  if (header === undefined || id === undefined) throw new Error(`A notification on ${postgresChannel} is no message.`);
  return { id, left: Number(left), rest: payload.slice(header.length) };
}

function begin(rest: string): Incomplete {
  const end = rest.indexOf(' ');
  return { key: decodeURIComponent(rest.slice(0, end)), text: rest.slice(end + 1) };
}
