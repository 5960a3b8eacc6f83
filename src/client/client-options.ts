import type { WebSocketLike } from './web-socket-like.js';

/** A scheduled call of `ClientClock.after`. */
export interface ClientTimer {
  /** Cancels the call. */
  cancel(): void;
}

/** Timers. Specs use `TestClock` of `signalbox/testing`, which they move by hand. */
export interface ClientClock {
  /** Calls back once after this many milliseconds. */
  after(milliseconds: number, callback: () => void): ClientTimer;
}

/** A function that returns a value or a promise of it. */
export type Asked<T> = () => T | Promise<T>;

/** Options of `createClient`. All times are in milliseconds. */
export interface ClientOptions {
  /** Subprotocols to offer, such as those of a consumer. Default: none. */
  readonly protocols?: readonly string[];
  /**
   * Called before every attempt to connect. Its token is offered in the subprotocols `signalbox` and `bearer.<token>`; null offers none.
   */
  readonly token?: Asked<string | null>;
  /** How long a request waits for its reply, or for its next part. Default: 30 000; 0 waits for ever. */
  readonly timeout?: number;
  /** How often a request with `retry: true` is sent again. Default: 3. */
  readonly maxRetries?: number;
  /** How many requests may wait for a connection; one more is refused (`queue_full`). Default: 100. */
  readonly maxQueue?: number;
  /** How many events may wait for the loop over a subscription; one more ends it (`buffer_full`). Default: 1000. */
  readonly maxBuffer?: number;
  /** The upper bound of the first delay before reconnecting; the delay is random, from 0. Default: 3000. */
  readonly firstDelay?: number;
  /** The upper bound doubles with every failure, up to this. Default: 30 000. */
  readonly maxDelay?: number;
  /** How long a connection must last before earlier failures are forgotten. Default: 30 000. */
  readonly healthyAfter?: number;
  /** How long an attempt to connect may take. Default: 10 000. */
  readonly connectTimeout?: number;
  /** After this time without a frame, the client asks the server for one. Default: 20 000; 0 never asks. */
  readonly heartbeat?: number;
  /** How long the server may take to answer that before the connection counts as dead. Default: 10 000. */
  readonly heartbeatTimeout?: number;
  /** Whether to reconnect after a close code; if it returns undefined, the table in the client's guide decides. */
  readonly reconnectAfter?: (code: number, reason: string) => boolean | undefined;
  /** Whether to connect only with the first request or subscription. Default: false. */
  readonly lazy?: boolean;
  /** The WebSocket class. Default: the global one. */
  readonly WebSocket?: new (
    url: string,
    protocols: string[],
  ) => WebSocketLike;
  /** The timers. Default: those of the platform. Specs pass a `TestClock`. */
  readonly clock?: ClientClock;
  /** Returns a random number from 0 up to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** Options that several files use have their defaults here; an option with one user has its default there. */
type CommonOptions = Required<Pick<ClientOptions, 'firstDelay' | 'clock' | 'random'>>;

export type CompleteOptions = ClientOptions & CommonOptions;

/** Longest delay of a timer in ms, slightly below the largest of `setTimeout`, which fires at once for a larger one. */
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
