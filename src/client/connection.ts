import type { Asked, ClientTimer, CompleteOptions } from './client-options.js';
import { mayReconnectAfter, overloadedCode, overloadedDelay, unauthenticatedCode } from './close-codes.js';
import { listen, tell } from './listeners.js';
import { Session } from './session.js';
import { isOffline, wakeUps } from './wake-ups.js';

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

/** A connection that comes back: one session after the other. */
export class Connection {
  readonly #url: string | Asked<string>;
  readonly #options: CompleteOptions;
  readonly #listener: ConnectionListener;
  readonly #statusListeners = new Set<StatusListener>();
  readonly #forgetWakeUps = wakeUps(() => this.#wake());
  /** A new one with every change: what an older one still asks for is not used. */
  #attempt = {};
  #session: Session | undefined;
  #timer: ClientTimer | undefined;
  #failures = 0;
  #hasFreshToken = false;
  #hint: number | undefined;
  #status: ConnectionStatus = 'idle';

  constructor(url: string | Asked<string>, options: CompleteOptions, listener: ConnectionListener) {
    this.#url = url;
    this.#options = options;
    this.#listener = listener;
  }

  get status(): ConnectionStatus {
    return this.#status === 'waiting' && isOffline() ? 'offline' : this.#status;
  }

  onStatus(listener: StatusListener): () => void {
    return listen(this.#statusListeners, listener);
  }

  /** Whether it was sent; never while there is no connection. */
  send(text: string): boolean {
    if (this.#status === 'idle') this.connect();
    return this.#status === 'open' && !this.#session?.isDraining && this.#session?.send(text) === true;
  }

  /** A new session at once, whatever there was. */
  connect(): void {
    if (this.#status === 'closed') return;
    const { connectTimeout } = this.#options;
    const late = (): void => this.#wait({ reason: 'The attempt took too long.' });
    void this.#begin(this.#change('connecting', {}, connectTimeout, late));
  }

  /** The server ends this session soon: nothing more is sent there, and the next one begins when it says. */
  drain(retryAfter: number | undefined): void {
    if (this.#session) this.#session.isDraining = true;
    this.#hint = retryAfter;
  }

  /** Ends for good. */
  close(): void {
    this.#forgetWakeUps();
    this.#stop('closed', {});
  }

  async #begin(attempt: object): Promise<void> {
    const { token, protocols } = this.#options;
    if (attempt !== this.#attempt) return;
    try {
      const url = await (typeof this.#url === 'string' ? this.#url : this.#url());
      const bearer = await token?.();
      const offered = typeof bearer === 'string' ? ['signalbox', `bearer.${bearer}`] : [];
      if (attempt === this.#attempt) this.#open(url, [...offered, ...protocols]);
    } catch (error) {
      if (attempt === this.#attempt) this.#wait({ error });
    }
  }

  #open(url: string, protocols: string[]): void {
    const { WebSocket } = this.#options;
    try {
      this.#session = new Session(new WebSocket(url, protocols), this.#options, {
        opened: () => this.#opened(),
        received: (data) => this.#listener.received(data),
        ended: (code, reason) => this.#ended(code, reason),
      });
    } catch (error) {
      // A url or a protocol that is none, now and later.
      this.#stop('stopped', { error });
    }
  }

  #opened(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(this.#options.healthyAfter, () => {
      this.#failures = 0;
      this.#hasFreshToken = false;
    });
    this.#status = 'open';
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

  /** Full jitter, so that clients which were lost together do not come back together. */
  #wait(why: StatusReason): void {
    const { firstDelay, maxDelay, random } = this.#options;
    const longest = Math.min(maxDelay, firstDelay * 2 ** this.#failures++);
    const least = why.code === overloadedCode ? overloadedDelay : 0;
    this.#change('waiting', why, this.#hint ?? least + random() * longest, () => this.connect());
  }

  #stop(status: ConnectionStatus, why: StatusReason): void {
    this.#change(status, why);
    this.#listener.stopped(status, why);
  }

  /** Whatever there was of a session, or of waiting for one, is over. Listeners are told last: they may change it again. */
  #change(status: ConnectionStatus, why: StatusReason, delay = 0, next?: () => void): object {
    const attempt = {};
    const session = this.#session;
    this.#session = undefined;
    this.#attempt = attempt;
    this.#hint = undefined;
    this.#timer?.cancel();
    this.#timer = next && this.#options.clock.after(delay, next);
    this.#status = status;
    session?.retire();
    if (session) this.#listener.lost();
    this.#tell(why);
    return attempt;
  }

  #wake(): void {
    if (this.#status === 'open') this.#session?.probe();
    else if (this.status === 'waiting') this.connect();
    else this.#tell({});
  }

  #tell(why: StatusReason): void {
    tell(this.#statusListeners, this.status, why);
  }
}
