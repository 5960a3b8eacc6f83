import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Inbox } from '#signalbox/testing/inbox.js';
import { patience, within } from './deadline.js';
import { upgradeRequest } from './sockets.js';

export interface FrameBits {
  readonly fin?: boolean;
  /** The three reserved bits: 4 is RSV1. */
  readonly reserved?: number;
  /** Default 1, text. */
  readonly opcode?: number;
  readonly isMasked?: boolean;
  /** What the header says, where it lies; `bytes` how many it takes to say so. */
  readonly length?: bigint;
  readonly lengthBytes?: 0 | 2 | 8;
}

/** The bytes of a frame as clients send them, or of one that is wrong in some way. The mask is zero. */
export function frameBytes(content: string | Buffer, bits: FrameBits = {}): Buffer {
  const payload = Buffer.from(content as string);
  const { fin = true, reserved = 0, opcode = 1, isMasked = true, length = BigInt(payload.length) } = bits;
  const { lengthBytes = length < 126n ? 0 : length < 65_536n ? 2 : 8 } = bits;
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const short = lengthBytes === 0 ? Number(length) : lengthBytes === 2 ? 126 : 127;
  const extended = Buffer.alloc(8);
  extended.writeBigUInt64BE(length);
  return Buffer.concat([
    Buffer.from([first, (isMasked ? 0x80 : 0) | short]),
    extended.subarray(8 - lengthBytes),
    Buffer.alloc(isMasked ? 4 : 0),
    payload,
  ]);
}

export function closeBytes(code: number, reason: string | Buffer = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return frameBytes(Buffer.concat([head, Buffer.from(reason as string)]), { opcode: 8 });
}

/** What a server answers: a text, the code of a close, a pong, or the end of the socket. */
export type Answer =
  | { readonly text: string }
  | { readonly close: number }
  | { readonly pong: string }
  | { readonly end: true };

/** The client's end of a WebSocket, byte by byte. */
export class RawWebSocket implements Disposable {
  readonly #socket: Socket;
  readonly #answers = new Inbox<Answer>();
  #unread = Buffer.alloc(0);
  #isUpgraded = false;
  readonly #upgraded = Promise.withResolvers<string>();

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (data) => this.#read(data));
    socket.once('close', () => this.#answers.put({ end: true }));
  }

  /** @param along what is sent in one piece with the handshake */
  static async open(port: number, path: string, along: Buffer = Buffer.alloc(0)): Promise<RawWebSocket> {
    const socket = connect({ port, host: '127.0.0.1' });
    await once(socket, 'connect');
    const opened = new RawWebSocket(socket);
    socket.write(Buffer.concat([Buffer.from(upgradeRequest(path)), along]));
    const head = await within(opened.#upgraded.promise, 'The handshake');
    if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(head);
    return opened;
  }

  write(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  answer(): Promise<Answer> {
    return this.#answers.take(patience);
  }

  /** Ends the client's side. */
  end(): void {
    this.#socket.end();
  }

  /** Every answer until the socket ends. */
  async rest(): Promise<Answer[]> {
    const answers: Answer[] = [];
    for (let answer = await this.answer(); ; answer = await this.answer()) {
      answers.push(answer);
      if ('end' in answer) return answers;
    }
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #read(data: Buffer): void {
    this.#unread = Buffer.concat([this.#unread, data]);
    if (!this.#isUpgraded && !this.#readHead()) return;
    for (let size = this.#frameSize(); size > 0 && this.#unread.length >= size; size = this.#frameSize()) {
      const frame = this.#unread.subarray(0, size);
      this.#unread = this.#unread.subarray(size);
      this.#put(frame);
    }
  }

  #readHead(): boolean {
    const end = this.#unread.indexOf('\r\n\r\n');
    if (end === -1) return false;
    this.#isUpgraded = true;
    this.#upgraded.resolve(this.#unread.toString('latin1', 0, end));
    this.#unread = this.#unread.subarray(end + 4);
    return true;
  }

  /** 0 while the header is not whole. Servers do not mask. */
  #frameSize(): number {
    const bytes = this.#unread;
    const short = (bytes[1] ?? 0) & 127;
    if (bytes.length < 2 || (short === 126 && bytes.length < 4) || (short === 127 && bytes.length < 10)) return 0;
    if (short === 126) return 4 + bytes.readUInt16BE(2);
    return short === 127 ? 10 + Number(bytes.readBigUInt64BE(2)) : 2 + short;
  }

  #put(frame: Buffer): void {
    const short = (frame[1] ?? 0) & 127;
    const payload = frame.subarray(short === 126 ? 4 : short === 127 ? 10 : 2);
    const opcode = (frame[0] ?? 0) & 15;
    if (opcode === 8) this.#answers.put({ close: payload.length < 2 ? 1005 : payload.readUInt16BE(0) });
    else if (opcode === 10) this.#answers.put({ pong: payload.toString('latin1') });
    else if (opcode === 1) this.#answers.put({ text: payload.toString() });
  }
}
