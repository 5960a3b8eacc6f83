import { createAlarm } from './alarm.js';
import { createExchange, type Desk, type ExchangeKind, type Payload } from './exchange.js';

/** Options of a request: the last parameter of every method of a client. */
export interface RequestOptions {
  /** How long to wait for the reply, or for its next part, in milliseconds; 0 waits for ever. Default: the client's `timeout`. */
  readonly timeout?: number;
  /** Cancels the request, on the server too; the request then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Whether to send the request again if it was not answered or got 503. Use it for actions that may run twice without harm. It is repeated
   * at most `maxRetries` times. A 429 with a time means that the action has not begun: it is always sent again, until its time limit.
   */
  readonly retry?: boolean;
}

/** The call of an action: a promise. If the action sends parts, it can also be iterated over, once. */
export type ActionCall<Reply, Part = never> = [Part] extends [never]
  ? Promise<Reply>
  : Promise<Reply> & AsyncIterable<Part, Reply>;

/** Sends one request when there is a connection; its reply ends it. */
export function request(
  desk: Desk,
  stream: string | null,
  payload: Payload,
  { timeout = desk.options.timeout ?? 30_000, signal, retry }: RequestOptions = {},
): ActionCall<unknown, unknown> {
  const { clock, maxRetries = 3, maxQueue = 100 } = desk.options;
  const alarm = createAlarm(clock);
  const startAlarm = (): void => alarm(timeout && (() => leave(failure('timeout'))), timeout);
  const abort = (): void => leave(signal?.reason);
  const kind: ExchangeKind = {
    stays: false,
    retries: retry ? maxRetries : 0,
    receive({ response_status: status, data }) {
      if (status === 206) {
        // A repeated request would send its parts again.
        kind.retries = 0;
        startAlarm();
        feed.push(data);
      } else {
        resolve(data);
        end();
      }
    },
    lose: () => failed(failure('connection_lost')),
    end() {
      alarm();
      signal?.removeEventListener('abort', abort);
    },
  };
  const { reply, resolve, feed, failure, leave, renew, end, failed } = createExchange(desk, stream, payload, kind);
  startAlarm();
  signal?.addEventListener('abort', abort);
  if (signal?.aborted) abort();
  if (!renew() && [...desk.open.values()].filter((one) => !one.kind.stays).length > maxQueue)
    leave(failure('queue_full'));
  return Object.assign(reply, {
    [Symbol.asyncIterator]: () => {
      // The loop throws the error when it gets there.
      reply.catch(() => {});
      return feed.iterate(() => reply);
    },
  });
}
