import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { ParseError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Settings } from '../settings.js';
import type { Transport, TransportListener } from './transport.js';

/** Turns accepted upgrade requests into transports. The only file that knows `ws`. */
export class WebSocketAcceptor {
  readonly #server: WebSocketServer;
  readonly #logger: Logger;
  /** Of the request that is being accepted. */
  #subprotocol: string | undefined;

  constructor({ maxPayload, limits }: Settings, logger: Logger) {
    // Two of them are newer than the types of `ws`, which take no name that they do not know in a literal.
    const newer = { maxPendingAutoPongs: limits.pendingPongs, closeTimeout: limits.closeHandshakeTime };
    this.#server = new WebSocketServer({
      ...newer,
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload,
      maxFragments: limits.fragments,
      maxBufferedChunks: limits.bufferedChunks,
      handleProtocols: () => this.#subprotocol ?? false,
    });
    this.#logger = logger;
  }

  /** @throws ParseError where the request is no WebSocket handshake, which `ws` has answered, or the client is gone */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, subprotocol: string | undefined): Transport {
    this.#subprotocol = subprotocol;
    const accepted: WebSocket[] = [];
    this.#server.handleUpgrade(request, socket, head, (webSocket) => accepted.push(webSocket));
    const [webSocket] = accepted;
    if (!webSocket) throw new ParseError('This is no WebSocket handshake.');
    return new WebSocketTransport(webSocket, socket, this.#logger);
  }
}

class WebSocketTransport implements Transport {
  readonly #socket: WebSocket;
  /** The same socket, one layer below: `ws` writes each frame by itself. */
  readonly #stream: Duplex;
  readonly #logger: Logger;

  constructor(socket: WebSocket, stream: Duplex, logger: Logger) {
    this.#socket = socket;
    this.#stream = stream;
    this.#logger = logger;
    // Frames that came with the handshake wait until somebody listens.
    socket.pause();
    socket.on('error', (error) => this.#logger.debug('A socket failed.', { error }));
  }

  get unsent(): number {
    return this.#socket.bufferedAmount;
  }

  listen({ onText, onBinary, onPong, onControl, onClose }: TransportListener): void {
    this.#socket.on('message', (data: RawData, isBinary: boolean) =>
      isBinary ? onBinary(data as Buffer) : onText(String(data)),
    );
    this.#socket.on('ping', (data) => onControl?.(data.length));
    this.#socket.on('pong', (data) => {
      onPong?.();
      onControl?.(data.length);
    });
    this.#socket.once('close', (code) => onClose(code));
    this.#socket.resume();
  }

  send(text: string, left?: () => void): void {
    if (this.#isOpen) this.#socket.send(text, left);
    else left?.();
  }

  sendBinary(data: Uint8Array, left?: () => void): void {
    if (this.#isOpen) this.#socket.send(data, left);
    else left?.();
  }

  cork(): void {
    this.#stream.cork();
  }

  uncork(): void {
    this.#stream.uncork();
  }

  ping(): void {
    if (this.#isOpen) this.#socket.ping();
  }

  close(code: number, reason: string): void {
    this.#socket.close(code, reason);
  }

  terminate(): void {
    this.#socket.terminate();
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }
}
