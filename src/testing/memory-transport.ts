import type { Transport, TransportListener } from '../server/transport.js';

interface Sent {
  readonly bytes: number;
  readonly arrive: () => void;
}

/** A socket without a network: the server's end is a transport, and these methods are the client's end. */
export class MemoryTransport implements Transport {
  readonly #onText: (text: string) => void;
  readonly #onBinary: (data: Uint8Array) => void;
  readonly #closed = Promise.withResolvers<number>();
  /** Frames that a client which does not read has not received. */
  readonly #onTheWay: Sent[] = [];
  #listener: TransportListener | undefined;
  #isClosed = false;
  #isFrozen = false;
  #isDelivering = false;
  #isDead = false;
  /** Frames that the server has not read, while it is paused. */
  #unread: (() => void)[] | undefined;

  /**
   * @param onText called with every text frame that the server sends
   * @param onBinary called with every binary frame that the server sends
   */
  constructor(onText: (text: string) => void, onBinary: (data: Uint8Array) => void = () => {}) {
    this.#onText = onText;
    this.#onBinary = onBinary;
  }

  /** The close code, after either end has closed the socket. */
  get closed(): Promise<number> {
    return this.#closed.promise;
  }

  get unsent(): number {
    return this.#onTheWay.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  send(frames: readonly (string | Uint8Array)[], left: () => void = () => {}): boolean {
    if (this.#isClosed) return true;
    const last = frames.length - 1;
    let hasLeft = false;
    let isSync = true;
    const arrived = (): void => {
      hasLeft = true;
      if (!isSync) left();
    };
    for (const [index, frame] of frames.entries()) this.#sendFrame(frame, index === last ? arrived : undefined);
    isSync = false;
    return hasLeft;
  }

  /** Answers at once, because a clock that a spec moves by minutes leaves no time for an answer. */
  ping(mark?: string): void {
    if (!this.#isClosed && !this.#isDead) this.#listener?.onPong?.(mark);
  }

  close(code: number): void {
    this.#close(code);
  }

  terminate(): void {
    this.#close(1006);
  }

  pause(): void {
    this.#unread ??= [];
  }

  resume(): void {
    const unread = this.#unread ?? [];
    this.#unread = undefined;
    for (const arrive of unread) this.#receive(arrive);
  }

  listen(listener: TransportListener): void {
    this.#listener = listener;
  }

  /** The client stops reading: frames to it wait. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** The client reads again, and receives everything that waits. */
  thaw(): void {
    this.#isFrozen = false;
    this.#deliver();
  }

  /** The network is lost, and neither end has noticed: no ping is answered. */
  die(): void {
    this.#isDead = true;
    this.freeze();
  }

  /** Receives a frame from the client. It arrives in a later turn, as from a network. */
  receiveText(text: string): void {
    queueMicrotask(() => this.#receive(() => this.#listener?.onText(text)));
  }

  /** Receives a binary frame from the client. It arrives in a later turn, as from a network. */
  receiveBinary(data: Uint8Array): void {
    queueMicrotask(() => this.#receive(() => this.#listener?.onBinary(data)));
  }

  /** The client closes. Frames that it sent before arrive before that, unless the server is paused. */
  receiveClose(code: number): void {
    queueMicrotask(() => this.#close(code));
  }

  #receive(arrive: () => void): void {
    if (this.#isClosed) return;
    if (this.#unread) this.#unread.push(arrive);
    else arrive();
  }

  #sendFrame(frame: string | Uint8Array, left: (() => void) | undefined): void {
    const arrive = (): void => {
      if (typeof frame === 'string') this.#onText(frame);
      else this.#onBinary(frame);
      left?.();
    };
    this.#send({ bytes: Buffer.byteLength(frame), arrive });
  }

  #send(sent: Sent): void {
    if (this.#isClosed) return;
    this.#onTheWay.push(sent);
    this.#deliver();
  }

  /** A receiver may send another frame meanwhile, which arrives after those on the way. */
  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    try {
      while (!this.#isFrozen && this.#onTheWay.length > 0) this.#onTheWay.shift()?.arrive();
    } finally {
      this.#isDelivering = false;
    }
  }

  #close(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onTheWay.length = 0;
    this.#listener?.onClose(code);
    this.#closed.resolve(code);
  }
}
