import { connect, type Socket } from 'node:net';
import { frameOf, readFrames } from './frames.js';

/** All sockets read into one piece of memory: what is read is looked at before the next socket has its turn. */
const shared = Buffer.alloc(65_536);
const nothing = Buffer.alloc(0);

export interface ClientOptions {
  readonly port: number;
  readonly path?: string;
  /** Of 127.0.0.x: each has ports of its own. */
  readonly source?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One connection of the load generator: as little as reads and writes frames, for it must cost less than the server. */
export class Client {
  readonly socket: Socket;
  /** Text frames so far. */
  received = 0;
  /** What came while only replies were waited for. */
  readonly early: Buffer[] = [];
  onText: ((text: Buffer) => void) | undefined;
  onClose: ((code: number | undefined) => void) | undefined;
  #closeCode: number | undefined;
  #unread: Buffer = nothing;
  #whenUpgraded: ((head: string) => void) | undefined;

  private constructor({ port, source = 0 }: ClientOptions) {
    const callback = (size: number): boolean => {
      this.#read(shared.subarray(0, size));
      return true;
    };
    const localAddress = `127.0.0.${2 + (source % 50)}`;
    this.socket = connect({ port, host: '127.0.0.1', localAddress, onread: { buffer: shared, callback } });
    this.socket.setNoDelay(true);
    this.socket.on('error', () => {});
    this.socket.once('close', () => this.onClose?.(this.#closeCode));
  }

  /** @throws Error with what the server said instead of upgrading */
  static async open(options: ClientOptions): Promise<Client> {
    const client = new Client(options);
    const head = await client.#upgrade(options);
    if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`The upgrade was refused: ${head}`);
    return client;
  }

  #upgrade({ path = '/', headers = {} }: ClientOptions): Promise<string> {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${lines.join('')}\r\n`,
    );
    return new Promise((resolve, reject) => {
      this.#whenUpgraded = resolve;
      this.onClose = () => reject(new Error('The socket ended during its handshake.', { cause: this.socket.errored }));
    });
  }

  /** All of them in one write. */
  send(...payloads: readonly object[]): void {
    this.write(Buffer.concat(payloads.map((payload) => frameOf(1, JSON.stringify(payload)))));
  }

  sendText(text: string): void {
    this.write(frameOf(1, text));
  }

  write(bytes: Buffer): void {
    if (this.socket.writable) this.socket.write(bytes);
  }

  /** The next text frames; of one action only, where it is told. @throws Error where the socket ends before */
  nextOnes(frames: number, action?: string): Promise<readonly Buffer[]> {
    const taken: Buffer[] = [];
    const isOther = (text: Buffer): boolean => action !== undefined && !text.includes(`"action":"${action}"`);
    return new Promise((resolve, reject) => {
      this.onClose = (code) => reject(new Error(`The socket was closed with ${code}.`));
      this.onText = (text) => {
        (isOther(text) ? this.early : taken).push(Buffer.from(text));
        if (taken.length === frames) resolve(taken);
      };
    });
  }

  /** Sends one request and gives its reply. Nothing else may be under way. */
  async request(payload: object): Promise<Buffer> {
    const replies = this.nextOnes(1);
    this.send(payload);
    return (await replies)[0] ?? nothing;
  }

  end(): void {
    this.onClose = undefined;
    this.socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#unread.length > 0 ? Buffer.concat([this.#unread, chunk]) : chunk;
    const start = this.#whenUpgraded ? this.#readHead(bytes) : 0;
    const end = this.#whenUpgraded ? 0 : readFrames(bytes, start, (opcode, content) => this.#take(opcode, content));
    this.#unread = end === bytes.length ? nothing : Buffer.from(bytes.subarray(end));
  }

  #readHead(bytes: Buffer): number {
    const end = bytes.indexOf('\r\n\r\n');
    if (end === -1) return 0;
    const upgraded = this.#whenUpgraded;
    this.#whenUpgraded = undefined;
    this.onClose = undefined;
    upgraded?.(bytes.toString('latin1', 0, end));
    return end + 4;
  }

  #take(opcode: number, content: Buffer): void {
    if (opcode === 1) {
      this.received += 1;
      this.onText?.(content);
    } else if (opcode === 9) this.write(frameOf(10, content));
    else if (opcode === 8) this.#answerClose(content);
  }

  #answerClose(content: Buffer): void {
    this.#closeCode = content.length < 2 ? 1005 : content.readUInt16BE(0);
    this.write(frameOf(8, content.subarray(0, 2)));
    this.socket.end();
  }
}
