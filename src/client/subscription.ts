import { createEmitter } from './emitter.js';
import { createExchange, type Desk, type ExchangeKind, type Payload } from './exchange.js';
import type { SignalboxError } from './signalbox-error.js';

/**
 * - `pending`: asked for, or to be asked for once there is a connection
 * - `live`: the server said yes on the present connection
 * - `refused`: it said no
 * - `revoked`: it said yes, and took it back
 * - `ended`: cancelled, or over for another reason, which `error` gives
 */
export type SubscriptionState = 'pending' | 'live' | 'refused' | 'revoked' | 'ended';

/**
 * Events of the server, until it is cancelled: it is asked for again after every reconnection. Iterating over it (once) gives
 * its events and ends it with the loop; events wait until a listener or a loop takes them.
 */
export interface Subscription<Event, Reply = unknown> extends AsyncIterable<Event, void> {
  /** Where it stands now; `onChange` reports changes. */
  readonly state: SubscriptionState;
  /** Why it is refused, revoked or ended; none where it was cancelled. */
  readonly error: SignalboxError | undefined;
  /** The reply of the action that subscribed, the first one; rejects where it ends before. */
  readonly ready: Promise<Reply>;
  /** Ends it here at once and on the server soon. Idempotent. */
  cancel(): void;
  /** @returns ends the listening; so do the other three */
  onEvent(listener: (event: Event) => void): () => void;
  /** @returns ends the listening */
  onChange(listener: (state: SubscriptionState) => void): () => void;
  /** Called whenever it is live again after a reconnection: what happened in between was missed and has to be fetched. */
  onResync(listener: (reply: Reply) => void): () => void;
}

/** One subscription: over when it is cancelled, refused or revoked. */
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
      // Of an action that subscribes only the reply is heard, not its parts.
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
  reply.catch(() => {}); // A caller that does not wait for it looks at the state.
  if (listener) feed.listen(listener);
  renew();
  return subscription;
}
