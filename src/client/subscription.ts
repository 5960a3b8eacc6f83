import { type Desk, type Exchange, encode, type Frame, isError, type Payload } from './exchange.js';
import { Feed } from './feed.js';
import { listen, tell } from './listeners.js';
import { clientError, errorOf, type SignalboxError } from './signalbox-error.js';

/**
 * - `pending`: asked for, or to be asked for once there is a connection
 * - `live`: the server said yes on the present connection
 * - `refused`: it said no
 * - `revoked`: it said yes, and took it back
 * - `ended`: cancelled, or over for another reason that `error` tells
 */
export type SubscriptionState = 'pending' | 'live' | 'refused' | 'revoked' | 'ended';

/**
 * Events of the server, until it is cancelled: it is asked for again after every reconnection. Iterating over it (once) gives
 * its events and ends it with the loop; events wait as long as nobody takes them.
 */
export interface Subscription<Event, Reply = unknown> extends AsyncIterable<Event, void> {
  readonly state: SubscriptionState;
  /** Why it is refused, revoked or ended; none where it was cancelled. */
  readonly error: SignalboxError | undefined;
  /** The reply of the action that subscribed, the first one; rejects where it ends before. */
  readonly ready: Promise<Reply>;
  /** Ends it here at once and on the server soon. Idempotent. */
  cancel(): void;
  /** @returns ends the listening; so do the other three */
  onEvent(listener: (event: Event) => void): () => void;
  onChange(listener: (state: SubscriptionState) => void): () => void;
  /** Told whenever it is live again after a reconnection: what happened in between was missed and has to be fetched. */
  onResync(listener: (reply: Reply) => void): () => void;
}

/** Of an action that subscribes nobody hears the parts, only the reply. */
const partial = 206;

export class OpenSubscription implements Subscription<unknown>, Exchange {
  readonly ready: Promise<unknown>;
  readonly text: string;
  readonly #desk: Desk;
  readonly id: number;
  readonly stream: string | null;
  readonly #events: Feed<unknown, void>;
  readonly #eventListeners = new Set<(event: unknown) => void>();
  readonly #changeListeners = new Set<(state: SubscriptionState) => void>();
  readonly #resyncListeners = new Set<(reply: unknown) => void>();
  #isIterated = false;
  #wasLive = false;
  #retries: number;
  #resolve!: (reply: unknown) => void;
  #reject!: (error: SignalboxError) => void;
  #finish!: () => void;
  state: SubscriptionState = 'pending';
  error: SignalboxError | undefined;
  isSent = false;

  /** @throws TypeError for what is no JSON */
  constructor(desk: Desk, id: number, stream: string | null, payload: Payload) {
    this.text = encode(stream, payload, id);
    this.#desk = desk;
    this.id = id;
    this.stream = stream;
    this.#retries = desk.options.maxRetries;
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // Whoever does not wait for it looks at the state.
    this.ready.catch(() => {});
    const over = new Promise<void>((resolve) => (this.#finish = resolve)).then(() => {
      if (this.error) throw this.error;
    });
    over.catch(() => {});
    this.#events = new Feed(over);
  }

  receive(frame: Frame): void {
    if (isError(frame)) this.#refuse(errorOf(frame));
    else if (frame.response_status === partial) return;
    else if (this.state === 'live') this.#emit({ action: frame.action, data: frame.data });
    else this.#begin(frame.data);
  }

  lose(): void {
    if (this.state === 'live') this.#change('pending');
  }

  fail(error: SignalboxError): void {
    this.#end('ended', error);
  }

  cancel(): void {
    this.#leave();
  }

  onEvent(listener: (event: unknown) => void): () => void {
    const stop = listen(this.#eventListeners, listener);
    for (const event of this.#events.takeAll()) listener(event);
    return stop;
  }

  onChange(listener: (state: SubscriptionState) => void): () => void {
    return listen(this.#changeListeners, listener);
  }

  onResync(listener: (reply: unknown) => void): () => void {
    return listen(this.#resyncListeners, listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, void> {
    this.#isIterated = true;
    return this.#events.iterate(() => this.cancel());
  }

  #begin(reply: unknown): void {
    const wasLive = this.#wasLive;
    this.#wasLive = true;
    this.#retries = this.#desk.options.maxRetries;
    this.#resolve(reply);
    this.#change('live');
    if (wasLive) tell(this.#resyncListeners, reply);
  }

  #emit(event: unknown): void {
    tell(this.#eventListeners, event);
    if (this.#eventListeners.size > 0 && !this.#isIterated) return;
    this.#events.push(event);
    const { maxBuffer } = this.#desk.options;
    if (this.#events.size > maxBuffer)
      this.#leave(clientError('buffer_full', `More than ${maxBuffer} events wait to be taken.`));
  }

  #leave(error?: SignalboxError): void {
    if (this.#isOver) return;
    if (this.isSent) this.#desk.tell(this.stream, 'unsubscribe', this.id);
    this.#end('ended', error);
  }

  get #isOver(): boolean {
    return this.state !== 'pending' && this.state !== 'live';
  }

  #refuse(error: SignalboxError): void {
    if (error.code === 'revoked') this.#end('revoked', error);
    else if (this.state === 'live') this.#end('ended', error);
    else if (error.isRetryable && this.#retries-- > 0) this.#desk.askAgain(this, error);
    else this.#end('refused', error);
  }

  #end(state: SubscriptionState, error?: SignalboxError): void {
    if (this.#isOver) return;
    this.error = error;
    this.#desk.forget(this.id);
    this.#reject(error ?? clientError('cancelled', 'The subscription was cancelled.'));
    this.#finish();
    this.#change(state);
  }

  #change(state: SubscriptionState): void {
    this.state = state;
    tell(this.#changeListeners, state);
  }
}
