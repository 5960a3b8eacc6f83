import type { Transport, TransportListener } from '../server/transport.js';

/** A socket without a network: the server's end is a transport, the client's end these methods. */
export class MemoryTransport implements Transport {
  readonly #onText: (text: string) => void;
  readonly #onBinary: (data: Uint8Array) => void;
  readonly #closed = Promise.withResolvers<number>();
  #listener: TransportListener | undefined;
  #isClosed = false;

  /** Both are told of every frame that the server sends. */
  constructor(onText: (text: string) => void, onBinary: (data: Uint8Array) => void = () => {}) {
    this.#onText = onText;
    this.#onBinary = onBinary;
  }

  /** The close code, once the socket is closed by either end. */
  get closed(): Promise<number> {
    return this.#closed.promise;
  }

  send(text: string): void {
    if (!this.#isClosed) this.#onText(text);
  }

  sendBinary(data: Uint8Array): void {
    if (!this.#isClosed) this.#onBinary(data);
  }

  close(code: number): void {
    this.#close(code);
  }

  terminate(): void {
    this.#close(1006);
  }

  listen(listener: TransportListener): void {
    this.#listener = listener;
  }

  /** A frame from the client. It arrives in a later turn, as from a network. */
  receiveText(text: string): void {
    queueMicrotask(() => this.#isClosed || this.#listener?.onText(text));
  }

  receiveBinary(data: Uint8Array): void {
    queueMicrotask(() => this.#isClosed || this.#listener?.onBinary(data));
  }

  /** The client closes. What it has sent before arrives before. */
  receiveClose(code: number): void {
    queueMicrotask(() => this.#close(code));
  }

  #close(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener?.onClose(code);
    this.#closed.resolve(code);
  }
}
