import type { ReplyFrame } from '../wire/messages.js';
import type { ClientTimer } from './client-options.js';
import { type Desk, Exchange, type Payload } from './exchange.js';
import { Feed } from './feed.js';
import { SignalboxError } from './signalbox-error.js';

export interface RequestOptions {
  /** How long to wait for the reply, or for the next part of it, in milliseconds; 0 waits for ever. Default that of the client. */
  readonly timeout?: number;
  /** Cancels the request, on the server too; it then rejects with the signal's reason. */
  readonly signal?: AbortSignal;
  /**
   * Whether to send it again where it was not answered, or with 429 or 503: for what may happen twice without harm. At
   * most `maxRetries` times.
   */
  readonly retry?: boolean;
}

/** An action that sends no parts is a promise; one that does is also iterated over, once. */
export type ActionCall<Reply, Part = never> = [Part] extends [never]
  ? Promise<Reply>
  : Promise<Reply> & AsyncIterable<Part, Reply>;

/** One request: sent when there is a connection, over with its reply. */
export class Request extends Exchange {
  override readonly isStanding = false;
  readonly #options: RequestOptions;
  readonly #parts = new Feed<unknown>();
  readonly #abort = (): void => this.#cancel(this.#options.signal?.reason);
  #timer: ClientTimer | undefined;
  #isOver = false;

  constructor(desk: Desk, id: number, stream: string | null, payload: Payload, options: RequestOptions) {
    super(desk, id, stream, payload);
    this.#options = options;
    if (options.retry) this.retries = desk.options.maxRetries;
    options.signal?.addEventListener('abort', this.#abort);
    this.#startTimer();
  }

  get call(): ActionCall<unknown, unknown> {
    return Object.assign(this.reply, { [Symbol.asyncIterator]: () => this.#iterate() });
  }

  receive(frame: ReplyFrame): void {
    const { response_status: status, data } = frame;
    if (status === 206) {
      // Asked again, it would send the parts again.
      this.retries = 0;
      this.#startTimer();
      this.#parts.push(data);
    } else if (status < 300) {
      this.#end();
      this.resolve(data);
    } else {
      const error = new SignalboxError(frame);
      if (this.mayRetry(error)) this.desk.askAgain(this, error);
      else this.fail(error);
    }
  }

  lose(): void {
    const error = this.failure('connection_lost', 'The connection was lost.', true);
    if (!this.mayRetry(error)) this.fail(error);
  }

  fail(error: unknown): void {
    this.#end();
    this.reject(error);
  }

  #iterate(): AsyncIterator<unknown, unknown> {
    // The loop throws it, as soon as it comes to it.
    this.reply.catch(() => {});
    return this.#parts.iterate(
      () => this.reply,
      () => this.#cancel(this.failure('cancelled', 'It was cancelled.')),
    );
  }

  #cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.tellServer('cancel');
    this.fail(reason);
  }

  #startTimer(): void {
    const { timeout = this.desk.options.timeout } = this.#options;
    const late = (): void => this.#cancel(this.failure('timeout', 'There was no reply in time.'));
    this.#timer?.cancel();
    if (timeout) this.#timer = this.desk.options.clock.after(timeout, late);
  }

  #end(): void {
    this.#isOver = true;
    this.#parts.end();
    this.#timer?.cancel();
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.desk.forget(this);
  }
}
