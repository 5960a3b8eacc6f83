import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type RawData, type Server, WebSocket, WebSocketServer } from 'ws';
import { ParseError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { Settings } from '../settings.js';
import type { Transport, TransportListener } from './transport.js';

/** Turns accepted upgrade requests into transports. The only file that knows `ws`. */
export class WebSocketAcceptor {
  readonly #server: Server<typeof HeardSocket>;
  readonly #failed: (error: Error) => void;
  /** Of the request that is being accepted. */
  #subprotocol: string | undefined;

  constructor({ maxPayload, limits }: Settings, logger: Logger) {
    // Two of them are newer than the types of `ws`, which take no name that they do not know in a literal.
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

  /** @throws ParseError where the request is no WebSocket handshake, which `ws` has answered, or the client is gone */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, subprotocol: string | undefined): Transport {
    this.#subprotocol = subprotocol;
    const accepted: HeardSocket[] = [];
    this.#server.handleUpgrade(request, socket, head, (webSocket) => accepted.push(webSocket));
    const [webSocket] = accepted;
    if (!webSocket) throw new ParseError('This is no WebSocket handshake.');
    webSocket.on('error', this.#failed);
    return new WebSocketTransport(webSocket, socket);
  }
}

/** Knows who hears it, so that the functions that listen to it are the same for all sockets. */
class HeardSocket extends WebSocket {
  listener: TransportListener | undefined;
}

function listenerOf(socket: WebSocket): TransportListener | undefined {
  return (socket as HeardSocket).listener;
}

function onMessage(this: WebSocket, data: RawData, isBinary: boolean): void {
  if (isBinary) listenerOf(this)?.onBinary(data as Buffer);
  else listenerOf(this)?.onText(String(data), (data as Buffer).length);
}

function onPing(this: WebSocket, data: Buffer): void {
  listenerOf(this)?.onControl?.(data.length);
}

function onPong(this: WebSocket, data: Buffer): void {
  listenerOf(this)?.onPong?.(String(data));
  listenerOf(this)?.onControl?.(data.length);
}

function onClose(this: WebSocket, code: number): void {
  listenerOf(this)?.onClose(code);
}

class WebSocketTransport implements Transport {
  readonly #socket: HeardSocket;
  /** The same socket, one layer below: `ws` writes each frame by itself. */
  readonly #stream: Duplex;

  constructor(socket: HeardSocket, stream: Duplex) {
    this.#socket = socket;
    this.#stream = stream;
    // Frames that came with the handshake wait until somebody listens.
    socket.pause();
  }

  get unsent(): number {
    return this.#socket.bufferedAmount;
  }

  listen(listener: TransportListener): void {
    this.#socket.listener = listener;
    this.#socket.on('message', onMessage).on('ping', onPing).on('pong', onPong).on('close', onClose).resume();
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

  ping(mark?: string): void {
    if (this.#isOpen) this.#socket.ping(mark);
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
