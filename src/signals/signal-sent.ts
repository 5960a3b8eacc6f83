import type { Signal } from './signal.js';

/** A signal that was sent, on its way to those who observe it. */
export interface SignalSent {
  readonly signal: Signal<never>;
  readonly payload: unknown;
  /** Sent on without regard to the transaction around it. */
  readonly atOnce: boolean;
  /** The request that sent it, if a request did. */
  readonly origin?: string;
}
