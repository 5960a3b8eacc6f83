import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type Server, WebSocket, WebSocketServer } from 'ws';
import { ParseError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Settings } from '../settings.js';
import type { Transport, TransportListener } from './transport.js';

/** Turns upgrade requests into transports. The only file that knows `ws`. */
export class WebSocketAcceptor {
  readonly #server: Server<typeof HeardSocket>;
  readonly #failed: (error: Error) => void;
  /** The selected subprotocol of the request that is being accepted. */
  #subprotocol: string | undefined;

  constructor({ maxPayload, limits }: Settings, logger: Logger) {
    // Two of them are newer than the types of `ws`, which accept no unknown name in a literal.
    const newer = { maxPendingAutoPongs: limits.pendingPongs, closeTimeout: limits.closeHandshakeTime };
    this.#server = new WebSocketServer({
      ...newer,
      WebSocket: HeardSocket,
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload,
      maxFragments: limits.fragments,
      maxBufferedChunks: limits.bufferedChunks,
      handleProtocols: () => this.#subprotocol ?? false,
    });
    this.#failed = (error) => logger.debug('A socket failed.', { error });
  }

  /** @throws ParseError if the request is no WebSocket handshake, which `ws` has answered, or if the client has disconnected */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, subprotocol: string | undefined): Transport {
    this.#subprotocol = subprotocol;
    const accepted: HeardSocket[] = [];
    this.#server.handleUpgrade(request, socket, head, (webSocket) => accepted.push(webSocket));
    const [webSocket] = accepted;
    if (!webSocket) throw new ParseError('This is not a WebSocket handshake.');
    webSocket.on('error', this.#failed);
    return new WebSocketTransport(webSocket, socket);
  }
}

/** A socket that knows its listener, so that all sockets share the functions that listen to them. */
class HeardSocket extends WebSocket {
  listener: TransportListener | undefined;
  /** The underlying stream of the socket. */
  stream: Duplex | undefined;

  /** `ws` also calls this at the client's close and at an invalid frame; it reads and drops what comes after those. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === this.OPEN)
      this.stream?.on('data', ({ length }: Buffer) => this.listener?.onIgnored?.(length));
    super.close(code, reason);
  }
}

function listenerOf(socket: WebSocket): TransportListener | undefined {
  return (socket as HeardSocket).listener;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (isBinary) listenerOf(this)?.onBinary(data as Buffer);
  else listenerOf(this)?.onText(data as Buffer);
}

function onPing(this: WebSocket, data: Buffer): void {
  listenerOf(this)?.onControl?.(data.length);
}

function onPong(this: WebSocket, data: Buffer): void {
  listenerOf(this)?.onPong?.(String(data), data.length);
}

function onClose(this: WebSocket, code: number): void {
  listenerOf(this)?.onClose(code);
}

class WebSocketTransport implements Transport {
  /** The underlying stream of the socket. `ws` holds no frame back, because nothing is compressed, so both may write. */
  readonly #stream: Duplex;

  constructor(
    private readonly socket: HeardSocket,
    stream: Duplex,
  ) {
    this.#stream = stream;
    socket.stream = stream;
    // Frames that came with the handshake wait until the connection listens.
    socket.pause();
  }

  get unsent(): number {
    return this.socket.bufferedAmount;
  }

  listen(listener: TransportListener): void {
    this.socket.listener = listener;
    this.socket.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('close', onClose).resume();
  }

  /** Writes all frames as one piece: `ws` writes each frame separately, header and payload apart, which costs more than all other work. */
  send(frames: readonly (string | Uint8Array)[], left: () => void): boolean {
    const stream = this.#stream;
    if (!this.#isOpen) return true;
    if (frames.every(isAscii)) stream.write(asLatin1(frames), 'latin1');
    else stream.write(Buffer.concat(frames.flatMap(asBytes)));
    if (stream.writableLength === 0) return true;
    // Its callback comes after those bytes. A callback for each write would cost a turn of its own, and most writes leave at once.
    stream.write('', left);
    return false;
  }

  ping(mark?: string): void {
    if (this.#isOpen) this.socket.ping(mark);
  }

  close(code: number, reason: string): void {
    this.socket.close(code, reason);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  terminate(): void {
    this.socket.terminate();
  }

  get #isOpen(): boolean {
    return this.socket.readyState === this.socket.OPEN;
  }
}

/** The first byte of a frame with a whole message (RFC 6455, 5.2). */
const wholeText = 0x81;
const wholeBinary = 0x82;

function isAscii(frame: string | Uint8Array): frame is string {
  return typeof frame === 'string' && Buffer.byteLength(frame) === frame.length;
}

/** The frames with one character per byte, so that no buffer is needed. */
function asLatin1(frames: readonly string[]): string {
  let text = '';
  for (const frame of frames) text += String.fromCharCode(...header(wholeText, frame.length)) + frame;
  return text;
}

function asBytes(frame: string | Uint8Array): Uint8Array[] {
  const payload = typeof frame === 'string' ? Buffer.from(frame) : frame;
  return [Uint8Array.from(header(typeof frame === 'string' ? wholeText : wholeBinary, payload.length)), payload];
}

/** The header of a frame. A server masks nothing. A length has 7, 16 or 64 bits (RFC 6455, 5.2). */
function header(first: number, length: number): number[] {
  if (length < 126) return [first, length];
  if (length < 65_536) return [first, 126, length >>> 8, length & 0xff];
  const high = Math.floor(length / 2 ** 32);
  return [first, 127, ...bytesOf(high), ...bytesOf(length)];
}

function bytesOf(number: number): number[] {
  return [(number >>> 24) & 0xff, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
}
