import type { Signal } from './signal.js';

/** A signal on its way from its sender to its observers. */
export interface SignalSent {
  readonly signal: Signal<never>;
  readonly payload: unknown;
  /** Whether it was sent without regard to the surrounding transaction. */
  readonly atOnce: boolean;
  /** The request that sent it; undefined outside of requests. */
  readonly origin?: string;
}
