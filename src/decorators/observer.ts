import type { SignalEvent, Subscription } from '../observers/model-event.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import type { Signal } from '../signals/signal.js';
import { toWireName } from '../wire/names.js';

/** Options of `@Observer(signal, options)`. */
export interface ObserverOptions<Payload, Body> {
  /** What the payload is shown as. Default: itself, as JSON. Runs once per signal, outside any connection. */
  readonly body?: (payload: Payload) => Body | Promise<Body>;
  /** Which payloads are sent as events. Default: every one. */
  readonly when?: (payload: Payload) => boolean;
  /** The `action` of its frames. Default: the method's name in snake_case. */
  readonly name?: string;
  /** Whether the event is sent at once, although the transaction around the sender may still roll back. Default false: after its commit. */
  readonly atOnce?: boolean;
}

/**
 * A method that is called for every signal that concerns one of its subscriptions; groups are declared as for
 * `@ModelObserver`. For a signal that is sent inside a transaction it is called after the commit, and not at all after a
 * rollback.
 *
 * ```ts
 * export const joined = new Signal<{ room: number; user: string }>();
 *
 * @Observer(joined)
 * async onJoined(event: SignalEvent<{ room: number; user: string }>, subscription: Subscription<RoomKey>) { await subscription.send(event); }
 * ```
 *
 * ```json
 * {"action": "enter", "request_id": 7, "room": 1}
 * {"errors": [], "data": null, "action": "enter", "response_status": 201, "request_id": 7}
 * {"errors": [], "data": {"room": 1, "user": "ann"}, "action": "on_joined", "response_status": 200, "request_id": 7}
 * ```
 */
export function Observer<Payload, Body = Payload>(
  signal: Signal<Payload>,
  { body, when, name, atOnce = false }: ObserverOptions<Payload, Body> = {},
) {
  return <Method extends (event: SignalEvent<Payload, Body>, subscription: Subscription<never>) => unknown>(
    prototype: object,
    member: string,
    _descriptor: TypedPropertyDescriptor<Method>,
  ): void =>
    observerDeclarations.write(prototype, member, {
      signal: {
        signal: signal as unknown as Signal<never>,
        name: name ?? toWireName(member),
        atOnce,
        when: (payload) => when?.(payload as Payload) ?? true,
      },
      ...(body && { body }),
    });
}
