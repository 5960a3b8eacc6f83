import { useInsertionEffect, useRef } from 'react';
import type { SignalboxError } from '../client/signalbox-error.js';
import type { Subscription, SubscriptionState } from '../client/subscription.js';
import type { Source } from './opened.js';
import { useOpened } from './use-opened.js';

/** What `useSubscription` calls. */
export interface SubscriptionListeners<Event, Reply> {
  /** Each event, in order. */
  readonly onEvent?: (event: Event) => void;
  /** The subscription is live again after a reconnection: what happened in between was missed. */
  readonly onResync?: (reply: Reply) => void;
}

/** What `useSubscription` returns. */
export interface SubscriptionSnapshot {
  /** The component is rendered anew when it changes. */
  readonly state: SubscriptionState;
  /** Why it is refused, revoked or ended. */
  readonly error: SignalboxError | undefined;
}

const pending: SubscriptionSnapshot = { state: 'pending', error: undefined };

/**
 * A subscription for as long as the component is mounted.
 *
 * ```ts
 * const { state, error } = useSubscription(() => client.rooms.$on('onMessage', 'subscribeToRoom', { room }), [room], {
 *   onEvent: (event) => event.action === 'create' && notify(event.data.text),
 * });
 * ```
 *
 * @param open called when the component is mounted, and again when a dependency changes; never while it renders
 * @param dependencies what `open` uses of the component
 * @param listeners those of the latest rendering are called; a change of them does not subscribe anew
 */
export function useSubscription<Event, Reply>(
  open: () => Subscription<Event, Reply>,
  dependencies: readonly unknown[],
  listeners: SubscriptionListeners<Event, Reply> = {},
): SubscriptionSnapshot {
  const latest = useRef(listeners);
  useInsertionEffect(() => {
    latest.current = listeners;
  });
  return useOpened(() => sourceOf(open(), latest), pending, dependencies).snapshot;
}

function sourceOf<Event, Reply>(
  subscription: Subscription<Event, Reply>,
  latest: { readonly current: SubscriptionListeners<Event, Reply> },
): Source<SubscriptionSnapshot> {
  let snapshot = snapshotOf(subscription);
  subscription.onEvent((event) => latest.current.onEvent?.(event));
  subscription.onResync((reply) => latest.current.onResync?.(reply));
  subscription.onChange(() => {
    snapshot = snapshotOf(subscription);
  });
  return {
    subscribe: (listener) => subscription.onChange(listener),
    getSnapshot: () => snapshot,
    close: () => subscription.cancel(),
  };
}

function snapshotOf({ state, error }: SubscriptionSnapshot): SubscriptionSnapshot {
  return { state, error };
}
