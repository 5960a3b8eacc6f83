import type { WebSocketLike } from './web-socket-like.js';

/** A call that `ClientClock.after` has put off. */
export interface ClientTimer {
  /** The callback is not called any more. */
  cancel(): void;
}

/** What happens later. `TestClock` of `signalbox/testing` is one that a spec moves by hand. */
export interface ClientClock {
  /** Calls back once after this many milliseconds. */
  after(milliseconds: number, callback: () => void): ClientTimer;
}

/** Gives a value now, or after asking for it. */
export type Asked<T> = () => T | Promise<T>;

/** Times are in milliseconds. */
export interface ClientOptions {
  /** Subprotocols to offer, such as those of a consumer. Default none. */
  readonly protocols?: readonly string[];
  /**
   * Asked before every attempt to connect; what it gives is offered as the subprotocols `signalbox` and `bearer.<token>`.
   * Null offers none.
   */
  readonly token?: Asked<string | null>;
  /** How long a request waits for its reply, or for its next part. Default 30 000; 0 waits for ever. */
  readonly timeout?: number;
  /** How often a request with `retry: true` is sent again. Default 3. */
  readonly maxRetries?: number;
  /** How many requests wait while there is no connection; one more is refused (`queue_full`). Default 100. */
  readonly maxQueue?: number;
  /** How many events wait for the loop over a subscription; with one more it ends (`buffer_full`). Default 1000. */
  readonly maxBuffer?: number;
  /** The first delay before connecting again is random, from 0 to this. Default 3000. */
  readonly firstDelay?: number;
  /** It doubles with every failure, up to this. Default 30 000. */
  readonly maxDelay?: number;
  /** How long a connection has to last until failures are forgotten. Default 30 000. */
  readonly healthyAfter?: number;
  /** How long an attempt to connect may take. Default 10 000. */
  readonly connectTimeout?: number;
  /** After so long without a frame the server is asked for one. Default 20 000; 0 never asks. */
  readonly heartbeat?: number;
  /** How long that may take until the connection counts as dead. Default 10 000. */
  readonly heartbeatTimeout?: number;
  /** Whether to connect again after a close code; undefined leaves it to the table of the guide. */
  readonly reconnectAfter?: (code: number, reason: string) => boolean | undefined;
  /** Whether to wait for the first request or subscription before connecting. Default false. */
  readonly lazy?: boolean;
  /** Default the global one. */
  readonly WebSocket?: new (
    url: string,
    protocols: string[],
  ) => WebSocketLike;
  /** Default the timers of the platform. A spec gives a `TestClock`. */
  readonly clock?: ClientClock;
  /** From 0 up to 1. Default `Math.random`. */
  readonly random?: () => number;
}

/** What several places use; what one uses has its default there. */
type CommonOptions = Required<Pick<ClientOptions, 'firstDelay' | 'clock' | 'random'>>;

export type CompleteOptions = ClientOptions & CommonOptions;

/** Longest delay of a timer in milliseconds, a little below the largest of `setTimeout`, which fires at once for a larger one. */
const longestWait = 2e9;

export const commonDefaults: CommonOptions = {
  firstDelay: 3_000,
  clock: {
    after(milliseconds, callback) {
      const timer = setTimeout(callback, Math.min(milliseconds, longestWait));
      return { cancel: () => clearTimeout(timer) };
    },
  },
  random: Math.random,
};
