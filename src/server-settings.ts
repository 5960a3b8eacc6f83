/** How much may wait for clients that read slowly. Sizes in bytes, times in milliseconds. */
export interface OutboundSettings {
  /** Above it a connection's requests and generators wait, and `latest` events are conflated. Default 65 536. */
  readonly softLimit: number;
  /** Above it a connection is closed with 4408. Default 1 048 576. */
  readonly hardLimit: number;
  /** What all connections may have waiting; above it the worst ones are closed with 4408. Default 268 435 456. */
  readonly totalLimit: number;
  /** How long a frame may wait to leave; then the connection is closed with 4408. Default 10 000. */
  readonly timeLimit: number;
  /** To how many channels of a group a message is handed before other work has its turn. Default 250. */
  readonly groupSlice: number;
}

/** How dead and idle connections are found. Times in milliseconds. */
export interface HeartbeatSettings {
  /** How often each client is pinged. Default 25 000. */
  readonly interval: number;
  /** How long it may take to answer a ping; then its socket is cut. Default 10 000. */
  readonly timeLimit: number;
  /** How long a connection may live without a frame in either direction; then it is closed with 1000. Default false: for ever. */
  readonly idleTimeLimit: number | false;
  /** How long a client may take for its first frame; then it is closed with 1008. Default false: for ever. */
  readonly silentTimeLimit: number | false;
}

/** How `app.drain()` empties a process. Times in milliseconds. */
export interface DrainSettings {
  /** How long connections are served as before, so that the balancer can notice. Default 4 000. */
  readonly delay: number;
  /** How long requests under way may take to end. Default 10 000. */
  readonly actionTimeLimit: number;
  /** How many connections are told to leave in a second. Default 400. */
  readonly rate: number;
  /** The longest time over which that is spread, whatever the rate. Default 25 000. */
  readonly spread: number;
  /** The longest `retry_after_ms`, unless the rate asks for more. Default 3 000. */
  readonly retrySpread: number;
  /** All of it together; what is left then is cut. Default 28 000. */
  readonly timeLimit: number;
}

/** What is written down of every request, and what of it is not. */
export interface LogSettings {
  /**
   * Which actions get a line in the log: `all`, or `problems`, which are those that failed (5xx), were refused (401, 403, 429) or
   * were slow; false for none. With `all`, each refused delivery has a line too, and where `development` is true each
   * subscription and each event. Default `problems`; where `development` is true, `all`, or false while NODE_ENV is `test`.
   */
  readonly actions: 'all' | 'problems' | false;
  /** An action that takes this many milliseconds is slow, unless it is detached. Default 1 000. */
  readonly slowActionTime: number;
  /** Fields whose name contains one of these, in any case, are written as "[redacted]". */
  readonly redacted: readonly string[];
}

export const defaultOutbound: OutboundSettings = {
  softLimit: 65_536,
  hardLimit: 1_048_576,
  totalLimit: 268_435_456,
  timeLimit: 10_000,
  groupSlice: 250,
};

export const defaultHeartbeat: HeartbeatSettings = {
  interval: 25_000,
  timeLimit: 10_000,
  idleTimeLimit: false,
  silentTimeLimit: false,
};

export const defaultDrain: DrainSettings = {
  delay: 4_000,
  actionTimeLimit: 10_000,
  rate: 400,
  spread: 25_000,
  retrySpread: 3_000,
  timeLimit: 28_000,
};

export const defaultLog: LogSettings = {
  actions: loggedActions(process.env.NODE_ENV !== 'production'),
  slowActionTime: 1_000,
  redacted: ['password', 'token', 'authorization', 'cookie', 'secret', 'credential', 'api_key', 'apikey'],
};

/** Of the setting `log.actions`. The output of specs is no place for a line per request. */
export function loggedActions(isDevelopment: boolean): LogSettings['actions'] {
  if (!isDevelopment) return 'problems';
  return isTestRun() ? false : 'all';
}

/** Test runners set this variable, or their users do. */
export function isTestRun(): boolean {
  return process.env.NODE_ENV === 'test';
}
