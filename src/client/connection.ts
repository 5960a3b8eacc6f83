import type { Asked, ClientTimer, CompleteOptions } from './client-options.js';
import { lostCode, mayReconnectAfter, overloadedCode, overloadedDelay, unauthenticatedCode } from './close-codes.js';
import { Emitter } from './emitter.js';
import { isOffline, onWakeUp } from './wake-ups.js';
import type { WebSocketLike } from './web-socket-like.js';

/**
 * - `idle`: nothing was asked for yet (`lazy`)
 * - `connecting`, `open`
 * - `waiting`: it was lost, and is tried again by itself
 * - `offline`: likewise, and the device says that it has no network
 * - `unauthenticated`: the server closed with 4401, also after a fresh token
 * - `stopped`: the server closed with a code after which it is not tried again
 * - `closed`: by `$close()`
 */
export type ConnectionStatus =
  | 'idle'
  | 'connecting'
  | 'open'
  | 'waiting'
  | 'offline'
  | 'unauthenticated'
  | 'stopped'
  | 'closed';

/** Why the status is what it is: how the last socket closed, or what stood in the way of one. */
export interface StatusReason {
  readonly code?: number;
  readonly reason?: string;
  /** What `url()` or `token()` threw, or the constructor of the socket. */
  readonly error?: unknown;
}

export type StatusListener = (status: ConnectionStatus, why: StatusReason) => void;

export interface ConnectionListener {
  opened(): void;
  received(data: unknown): void;
  /** What was sent is not answered any more. */
  lost(): void;
  /** Nothing is tried any more. */
  stopped(status: ConnectionStatus, why: StatusReason): void;
}

/** A connection that comes back: one socket after the other. Of a socket that is not the present one nothing is heard. */
export class Connection {
  readonly #url: string | Asked<string>;
  readonly #options: CompleteOptions;
  readonly #listener: ConnectionListener;
  readonly #statuses = new Emitter<Parameters<StatusListener>>();
  readonly #life = new AbortController();
  /** A new one with every change: what an older one still asks for is not used. */
  #attempt = {};
  #socket: WebSocketLike | undefined;
  /** What comes next: the end of an attempt or of waiting, or a look at the heartbeat. */
  #timer: ClientTimer | undefined;
  #healthy: ClientTimer | undefined;
  #failures = 0;
  #hasFreshToken = false;
  #isSilent = false;
  /** The server said that it is about to end this socket. */
  #drain: { readonly retryAfter: number | undefined } | undefined;
  #status: ConnectionStatus = 'idle';
  readonly onStatus = this.#statuses.on;

  constructor(url: string | Asked<string>, options: CompleteOptions, listener: ConnectionListener) {
    this.#url = url;
    this.#options = options;
    this.#listener = listener;
    onWakeUp(() => this.#wake(), this.#life.signal);
  }

  get status(): ConnectionStatus {
    return this.#status === 'waiting' && isOffline() ? 'offline' : this.#status;
  }

  /** Whether it was sent; never while there is no connection. */
  send(text: string): boolean {
    if (this.#status === 'idle') this.connect();
    const mayBeSent = !this.#drain && this.#socket?.readyState === 1;
    if (mayBeSent) this.#socket?.send(text);
    return mayBeSent;
  }

  /** A new socket at once, whatever there was. */
  connect(): void {
    if (this.#status === 'closed') return;
    const late = (): void => this.#wait({ reason: 'It took too long.' });
    void this.#begin(this.#change('connecting', {}, this.#options.connectTimeout, late));
  }

  /** The server ends this socket soon: nothing more is sent there, and the next one begins when it says. */
  drain(retryAfter: number | undefined): void {
    this.#drain = { retryAfter };
  }

  /** Ends for good. */
  close(): void {
    this.#life.abort();
    this.#stop('closed', {});
  }

  async #begin(attempt: object): Promise<void> {
    const { token, protocols, WebSocket } = this.#options;
    let isAsked = false;
    if (attempt !== this.#attempt) return;
    try {
      const url = await (typeof this.#url === 'string' ? this.#url : this.#url());
      const bearer = await token?.();
      if (attempt !== this.#attempt) return;
      isAsked = true;
      this.#open(new WebSocket(url, bearer ? ['signalbox', `bearer.${bearer}`, ...protocols] : [...protocols]));
    } catch (error) {
      // A url that is none today is none tomorrow.
      if (isAsked) this.#stop('stopped', { error });
      else if (attempt === this.#attempt) this.#wait({ error });
    }
  }

  #open(socket: WebSocketLike): void {
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      this.#isSilent = false;
      this.#listener.received(data);
    };
    socket.onclose = ({ code, reason }: { readonly code: number; readonly reason: string }) =>
      this.#ended(code, reason);
    socket.onerror = () => {};
  }

  #opened(): void {
    const { clock, healthyAfter } = this.#options;
    this.#healthy = clock.after(healthyAfter, () => {
      this.#failures = 0;
      this.#hasFreshToken = false;
    });
    this.#status = 'open';
    this.#watch();
    this.#listener.opened();
    this.#tell({});
  }

  #ended(code: number, reason: string): void {
    const why = { code, reason };
    const asked = this.#options.reconnectAfter?.(code, reason);
    if (asked ?? mayReconnectAfter(code)) this.#wait(why);
    else if (asked === false || code !== unauthenticatedCode) this.#stop('stopped', why);
    else if (this.#hasFreshToken) this.#stop('unauthenticated', why);
    else {
      this.#hasFreshToken = true;
      this.connect();
    }
  }

  /** Looks once in each interval whether a frame came, which costs the frames nothing. */
  #watch(interval = this.#options.heartbeat, silent = (): void => this.#probe()): void {
    this.#isSilent = true;
    this.#later(interval, interval ? () => (this.#isSilent ? silent() : this.#watch()) : undefined);
  }

  /** Asks the server for a sign of life. */
  #probe(): void {
    this.#socket?.send('{"action":"ping"}');
    this.#watch(this.#options.heartbeatTimeout, () => this.#ended(lostCode, 'The server is silent.'));
  }

  /** Full jitter, so that clients which were lost together do not come back together. */
  #wait(why: StatusReason): void {
    const { firstDelay, maxDelay, random } = this.#options;
    const longest = Math.min(maxDelay, firstDelay * 2 ** this.#failures++);
    const least = why.code === overloadedCode ? overloadedDelay : 0;
    this.#change('waiting', why, this.#drain?.retryAfter ?? least + random() * longest, () => this.connect());
  }

  #stop(status: ConnectionStatus, why: StatusReason): void {
    this.#change(status, why);
    this.#listener.stopped(status, why);
  }

  /** Whatever there was of a socket, or of waiting for one, is over. Listeners are told last: they may change it again. */
  #change(status: ConnectionStatus, why: StatusReason, delay = 0, next?: () => void): object {
    const attempt = {};
    const socket = this.#socket;
    this.#attempt = attempt;
    this.#status = status;
    this.#socket = this.#drain = undefined;
    this.#healthy?.cancel();
    this.#later(delay, next);
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      this.#listener.lost();
    }
    this.#tell(why);
    return attempt;
  }

  #later(delay: number, next?: () => void): void {
    this.#timer?.cancel();
    this.#timer = next && this.#options.clock.after(delay, next);
  }

  #wake(): void {
    if (this.#status === 'open') this.#probe();
    else if (this.status === 'waiting') this.connect();
    else this.#tell({});
  }

  #tell(why: StatusReason): void {
    this.#statuses.emit(this.status, why);
  }
}
