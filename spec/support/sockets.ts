import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type ClientOptions, WebSocket } from 'ws';
import { Inbox } from '#signalbox/testing/inbox.js';
import { patience, within } from './deadline.js';

export type Frame = Record<string, unknown>;

/** What a server hands to its sockets from now on, one text for each call of their `write`. */
export function writesOf(server: Server): readonly string[] {
  const writes: string[] = [];
  server.on('connection', (socket: Socket) => {
    const { write } = socket;
    socket.write = ((...given: Parameters<Socket['write']>) => {
      writes.push(String(given[0]));
      return write.apply(socket, given);
    }) as Socket['write'];
  });
  return writes;
}

/** A client over a real socket, as browsers are. */
export class SocketClient implements AsyncDisposable {
  readonly #socket: WebSocket;
  readonly #inbox = new Inbox<Frame>();
  readonly #closed: Promise<number>;
  /** What the server said when it closed. */
  reason: string | undefined;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.#inbox.put(JSON.parse(String(data))));
    socket.on('error', () => {});
    this.#closed = new Promise((resolve) => void socket.once('close', resolve));
    socket.once('close', (_, reason) => {
      this.reason = String(reason);
    });
  }

  /** @throws Error if the server refuses */
  static async open(url: string, options: ClientOptions = {}): Promise<SocketClient> {
    const socket = new WebSocket(url, options);
    const client = new SocketClient(socket);
    await within(once(socket, 'open'), `Opening ${url}`);
    return client;
  }

  /** The close code. */
  get closed(): Promise<number> {
    return within(this.#closed, 'The end of the socket');
  }

  send(frame: unknown): void {
    this.#socket.send(JSON.stringify(frame));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  sendBinary(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Resolves once the server has answered a ping, and so has read what was sent before it. */
  async ponged(): Promise<void> {
    this.ping();
    await within(once(this.#socket, 'pong'), 'A pong');
  }

  /** Resolves with what the next ping says. One that was opened with `autoPong: false` answers none by itself. */
  async pinged(): Promise<Buffer> {
    const [mark] = await within(once(this.#socket, 'ping'), 'A ping');
    return mark as Buffer;
  }

  pong(mark: Buffer): void {
    this.#socket.pong(mark);
  }

  receive(): Promise<Frame> {
    return this.#inbox.take(patience);
  }

  /** Sends one frame and gives the next that comes. */
  ask(frame: unknown): Promise<Frame> {
    this.send(frame);
    return this.receive();
  }

  close(code = 1000): void {
    this.#socket.close(code);
  }

  /** Cuts the socket, without goodbye. */
  terminate(): void {
    this.#socket.terminate();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.terminate();
    await this.closed;
  }
}

export interface Refusal {
  readonly status: number;
  readonly sentence: string;
}

export interface FullRefusal extends Refusal {
  readonly headers: IncomingMessage['headers'];
}

/** What an upgrade is refused with. @throws Error if it is granted */
export async function refusalOf(url: string, options: ClientOptions = {}): Promise<Refusal> {
  const { status, sentence } = await fullRefusalOf(url, options);
  return { status, sentence };
}

/** Likewise, with the headers. */
export async function fullRefusalOf(url: string, options: ClientOptions = {}): Promise<FullRefusal> {
  const socket = new WebSocket(url, options);
  socket.on('error', () => {});
  const granted = new Promise<never>((_, reject) => {
    socket.once('open', () => {
      socket.terminate();
      reject(new Error(`${url} was not refused.`));
    });
  });
  const answered = once(socket, 'unexpected-response') as Promise<[unknown, IncomingMessage]>;
  const [, response] = await within(Promise.race([answered, granted]), `The refusal of ${url}`);
  const sentence = await text(response);
  return { status: response.statusCode ?? 0, sentence: sentence.trimEnd(), headers: response.headers };
}

/** A client that says exactly what it is told to, and hears nothing but bytes. */
export class RawClient implements Disposable {
  readonly socket: Socket;
  #heard = '';

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => {});
    socket.setEncoding('latin1').on('data', (chunk) => {
      this.#heard += chunk;
      socket.emit('heard');
    });
  }

  /** Stays half open when the server ends its side, as a client does that never says goodbye. */
  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  /** Waits until what it heard has this in it, and gives all of it. */
  async hear(part: string): Promise<string> {
    const heard = async (): Promise<string> => {
      while (!this.#heard.includes(part)) await once(this.socket, 'heard');
      return this.#heard;
    };
    return within(heard(), `Hearing ${part}`);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

const goodHeaders = {
  Host: '127.0.0.1',
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** The text of an upgrade request; a header that is undefined is left out. */
export function upgradeRequest(path: string, headers: Readonly<Record<string, string | undefined>> = {}): string {
  const lines = Object.entries({ ...goodHeaders, ...headers }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}: ${value}`],
  );
  return [`GET ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

/** A masked text frame, as clients send them; the mask is zero, so that the text stays as it is. */
export function textFrame(content: string): Buffer {
  const payload = Buffer.from(content);
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}
