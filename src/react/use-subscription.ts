import { useInsertionEffect, useRef } from 'react';
import type { SignalboxError } from '../client/signalbox-error.js';
import type { Subscription, SubscriptionState } from '../client/subscription.js';
import type { Source } from './opened.js';
import { useOpened } from './use-opened.js';

/** Listeners that `useSubscription` calls. */
export interface SubscriptionListeners<Event, Reply> {
  /** Called with each event, in order. */
  readonly onEvent?: (event: Event) => void;
  /** Called when the subscription is live again after a reconnection: the events in between are missing. */
  readonly onResync?: (reply: Reply) => void;
}

/** The value that `useSubscription` returns. */
export interface SubscriptionSnapshot {
  /** The state of the subscription; the component is rendered again when it changes. */
  readonly state: SubscriptionState;
  /** Why the subscription was refused, revoked or ended; undefined otherwise. */
  readonly error: SignalboxError | undefined;
}

const pending: SubscriptionSnapshot = { state: 'pending', error: undefined };

/**
 * Keeps a subscription while the component is mounted.
 *
 * ```ts
 * const { state, error } = useSubscription(() => client.rooms.$on('onMessage', 'subscribeToRoom', { room }), [room], {
 *   onEvent: (event) => event.action === 'create' && notify(event.data.text),
 * });
 * ```
 *
 * @param open called when the component is mounted, and again when a dependency changes; never during rendering
 * @param dependencies the component's values that `open` uses
 * @param listeners the latest rendering's listeners are called; changing them does not subscribe again
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
