import type { ClientTimer, CompleteOptions } from './client-options.js';
import type { WebSocketLike } from './web-socket-like.js';

export interface SessionListener {
  opened(): void;
  received(data: unknown): void;
  /** Once; nothing comes after it. */
  ended(code: number, reason: string): void;
}

const open = 1;
/** What a socket that died without a word is said to have closed with. */
const lostCode = 1006;

/** One socket: after its end nothing of it is heard. It watches that the server is still there. */
export class Session {
  readonly #socket: WebSocketLike;
  readonly #options: CompleteOptions;
  readonly #listener: SessionListener;
  #timer: ClientTimer | undefined;
  #isSilent = false;
  /** What is sent now would not be answered: the server said that it is about to end. */
  isDraining = false;

  constructor(socket: WebSocketLike, options: CompleteOptions, listener: SessionListener) {
    this.#socket = socket;
    this.#options = options;
    this.#listener = listener;
    socket.onopen = () => {
      this.#watch();
      listener.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#isSilent = false;
      listener.received(data);
    };
    socket.onclose = ({ code, reason }) => this.end(code, reason);
    socket.onerror = () => {};
  }

  send(text: string): boolean {
    const isOpen = this.#socket.readyState === open;
    if (isOpen) this.#socket.send(text);
    return isOpen;
  }

  /** Asks the server for a sign of life, if it can be asked. */
  probe(): void {
    if (!this.send('{"action":"ping"}')) return;
    this.#isSilent = true;
    this.#timer?.cancel();
    this.#timer = this.#after(this.#options.heartbeatTimeout, () => {
      if (this.#isSilent) this.end(lostCode, 'The server is silent.');
      else this.#watch();
    });
  }

  end(code: number, reason: string): void {
    this.retire();
    this.#listener.ended(code, reason);
  }

  /** Ends it without a word to the listener. */
  retire(): void {
    this.#timer?.cancel();
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** Looks once in each interval, which costs the frames in between nothing. */
  #watch(): void {
    const { heartbeat } = this.#options;
    this.#timer?.cancel();
    if (heartbeat === 0) return;
    this.#isSilent = true;
    this.#timer = this.#after(heartbeat, () => {
      if (this.#isSilent) this.probe();
      else this.#watch();
    });
  }

  #after(milliseconds: number, callback: () => void): ClientTimer {
    return this.#options.clock.after(milliseconds, callback);
  }
}
