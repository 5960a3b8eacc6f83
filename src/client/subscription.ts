import { createEmitter } from './emitter.js';
import { createExchange, type Desk, type ExchangeKind, type Payload } from './exchange.js';
import type { SignalboxError } from './signalbox-error.js';

/**
 * - `pending`: the request is sent, or waits for a connection
 * - `live`: the server has accepted it on the current connection
 * - `refused`: the server has refused it
 * - `revoked`: the server accepted it, and ended it later
 * - `ended`: it was cancelled, or it ended for another reason, which `error` gives
 */
export type SubscriptionState = 'pending' | 'live' | 'refused' | 'revoked' | 'ended';

/**
 * Events of the server. The client subscribes again after every reconnection, until the subscription is cancelled. It can be iterated over
 * once: the loop yields its events, and leaving the loop ends it. Events wait until a listener or a loop takes them.
 */
export interface Subscription<Event, Reply = unknown> extends AsyncIterable<Event, void> {
  /** The current state; `onChange` reports changes. */
  readonly state: SubscriptionState;
  /** Why it was refused, revoked or ended; undefined if it was cancelled. */
  readonly error: SignalboxError | undefined;
  /** The first reply of the action that subscribed; rejects if the subscription ends before that. */
  readonly ready: Promise<Reply>;
  /** Ends the subscription: here at once, on the server soon after. Further calls do nothing. */
  cancel(): void;
  /** @returns a function that removes the listener */
  onEvent(listener: (event: Event) => void): () => void;
  /** @returns a function that removes the listener */
  onChange(listener: (state: SubscriptionState) => void): () => void;
  /**
   * Called when the subscription is live again after a reconnection: the events in between are missing, so the listener has to fetch the
   * data.
   *
   * @returns a function that removes the listener
   */
  onResync(listener: (reply: Reply) => void): () => void;
}

/** Makes one subscription. It ends when it is cancelled, refused or revoked. */
export function subscribe(
  desk: Desk,
  stream: string | null,
  payload: Payload,
  listener?: (event: unknown) => void,
): Subscription<unknown> {
  const { maxRetries = 3, maxBuffer = 1_000 } = desk.options;
  const [onChange, tellChange] = createEmitter<[state: SubscriptionState]>();
  const [onResync, tellResync] = createEmitter<[reply: unknown]>();
  let wasLive = false;
  const change = (state: SubscriptionState): void => {
    subscription.state = state;
    tellChange(state);
  };
  const kind: ExchangeKind = {
    stays: true,
    retries: maxRetries,
    receive({ response_status: status, action, data }) {
      const isLive = subscription.state === 'live';
      if (isLive && feed.push({ action, data }) > maxBuffer) leave(failure('buffer_full'));
      // For an action that subscribes, only the reply counts, not its parts.
      if (isLive || status === 206) return;
      kind.retries = 0;
      resolve(data);
      change('live');
      if (wasLive) tellResync(data);
      wasLive = true;
    },
    lose() {
      kind.retries = maxRetries;
      if (subscription.state === 'live') change('pending');
    },
    end(error) {
      subscription.error = error;
      const isRefused = subscription.state === 'pending' && error?.status;
      change(error?.code === 'revoked' ? 'revoked' : isRefused ? 'refused' : 'ended');
    },
  };
  const { reply, resolve, feed, failure, leave, renew } = createExchange(desk, stream, payload, kind);
  const subscription: { -readonly [Name in keyof Subscription<unknown>]: Subscription<unknown>[Name] } = {
    state: 'pending',
    error: undefined,
    ready: reply,
    cancel: () => leave(),
    onEvent: feed.listen,
    onChange,
    onResync,
    [Symbol.asyncIterator]: () =>
      feed.iterate(() => {
        if (subscription.error) throw subscription.error;
      }),
  };
  reply.catch(() => {}); // A caller that does not await the reply looks at the state.
  if (listener) feed.listen(listener);
  renew();
  return subscription;
}
