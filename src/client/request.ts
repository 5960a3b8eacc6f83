import { createAlarm } from './alarm.js';
import { createExchange, type Desk, type ExchangeKind, type Payload } from './exchange.js';

/** The last parameter of every method of a client. */
export interface RequestOptions {
  /** How long to wait for the reply, or for the next part of it, in milliseconds; 0 waits for ever. Default that of the client. */
  readonly timeout?: number;
  /** Cancels the request, on the server too; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Whether to send it again where it was not answered, or with 503: for what may happen twice without harm. At most
   * `maxRetries` times. What was answered 429 with a time has not begun, and is always sent again, until its time limit.
   */
  readonly retry?: boolean;
}

/** An action that sends no parts is a promise; one that does is also iterated over, once. */
export type ActionCall<Reply, Part = never> = [Part] extends [never]
  ? Promise<Reply>
  : Promise<Reply> & AsyncIterable<Part, Reply>;

/** One request: sent when there is a connection, over with its reply. */
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
        // Asked again, it would send its parts again.
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
      // The loop throws it, as soon as it comes to it.
      reply.catch(() => {});
      return feed.iterate(() => reply);
    },
  });
}
