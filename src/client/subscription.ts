import type { ReplyFrame } from '../wire/messages.js';
import { Emitter } from './emitter.js';
import { type Desk, Exchange, type Payload } from './exchange.js';
import { Feed } from './feed.js';
import { SignalboxError } from './signalbox-error.js';

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

/** One subscription: over when it is cancelled, refused or revoked. */
export class OpenSubscription extends Exchange implements Subscription<unknown> {
  override readonly isStanding = true;
  readonly ready: Promise<unknown> = this.reply;
  readonly #events = new Feed<unknown>();
  readonly #listeners = new Emitter<[event: unknown]>();
  readonly #changes = new Emitter<[state: SubscriptionState]>();
  readonly #resyncs = new Emitter<[reply: unknown]>();
  readonly onChange = this.#changes.on;
  readonly onResync = this.#resyncs.on;
  #isIterated = false;
  #wasLive = false;
  state: SubscriptionState = 'pending';
  error: SignalboxError | undefined;

  constructor(desk: Desk, id: number, stream: string | null, payload: Payload) {
    super(desk, id, stream, payload);
    this.retries = desk.options.maxRetries;
    // Whoever does not wait for it looks at the state.
    this.ready.catch(() => {});
  }

  receive(frame: ReplyFrame): void {
    const { response_status: status, action, data } = frame;
    if (status >= 300) this.#refuse(new SignalboxError(frame));
    else if (this.state === 'live') this.#emit({ action, data });
    // Of an action that subscribes only the reply is heard, not its parts.
    else if (status !== 206) this.#begin(data);
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
    for (const event of this.#events.takeAll()) listener(event);
    return this.#listeners.on(listener);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, void> {
    this.#isIterated = true;
    const result = (): void => {
      if (this.error) throw this.error;
    };
    return this.#events.iterate(result, () => this.cancel());
  }

  get #isOver(): boolean {
    return this.state !== 'pending' && this.state !== 'live';
  }

  #begin(reply: unknown): void {
    const wasLive = this.#wasLive;
    this.#wasLive = true;
    this.retries = this.desk.options.maxRetries;
    this.resolve(reply);
    this.#change('live');
    if (wasLive) this.#resyncs.emit(reply);
  }

  /** Kept for whoever iterates, or listens one day. */
  #emit(event: unknown): void {
    const { maxBuffer } = this.desk.options;
    this.#listeners.emit(event);
    if (this.#listeners.size && !this.#isIterated) return;
    this.#events.push(event);
    if (this.#events.size > maxBuffer) this.#leave(this.failure('buffer_full', 'Too many events wait.'));
  }

  #refuse(error: SignalboxError): void {
    if (error.code === 'revoked') this.#end('revoked', error);
    else if (this.state === 'live') this.#end('ended', error);
    else if (this.mayRetry(error)) this.desk.askAgain(this, error);
    else this.#end('refused', error);
  }

  #leave(error?: SignalboxError): void {
    if (this.#isOver) return;
    this.tellServer('unsubscribe');
    this.#end('ended', error);
  }

  #end(state: SubscriptionState, error?: SignalboxError): void {
    this.error = error;
    this.desk.forget(this);
    this.reject(error ?? this.failure('cancelled', 'It was cancelled.'));
    this.#change(state);
    this.#events.end();
  }

  #change(state: SubscriptionState): void {
    this.state = state;
    this.#changes.emit(state);
  }
}
