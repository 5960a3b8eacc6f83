import type { ClientTimer } from './client-options.js';
import { type Desk, type Exchange, encode, type Frame, isError, type Payload } from './exchange.js';
import { Feed } from './feed.js';
import { clientError, errorOf, type SignalboxError } from './signalbox-error.js';

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

const partial = 206;

/** One request: sent when there is a connection, over with its reply. */
export class Request implements Exchange {
  readonly result: Promise<unknown> & AsyncIterable<unknown, unknown>;
  readonly text: string;
  readonly #desk: Desk;
  readonly id: number;
  readonly #stream: string | null;
  readonly #action: string;
  readonly #options: RequestOptions;
  readonly #parts: Feed<unknown, unknown>;
  readonly #abort = (): void => this.#cancel(this.#options.signal?.reason);
  #resolve!: (data: unknown) => void;
  #reject!: (error: unknown) => void;
  #retries: number;
  #timer: ClientTimer | undefined;
  #isOver = false;
  isSent = false;

  /** @throws TypeError for what is no JSON */
  constructor(desk: Desk, id: number, stream: string | null, payload: Payload, options: RequestOptions) {
    this.text = encode(stream, payload, id);
    this.#desk = desk;
    this.id = id;
    this.#stream = stream;
    this.#action = payload.action;
    this.#options = options;
    this.#retries = options.retry ? desk.options.maxRetries : 0;
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#parts = new Feed(promise);
    this.result = Object.assign(promise, {
      [Symbol.asyncIterator]: () =>
        this.#parts.iterate(() =>
          this.#cancel(this.#error('cancelled', 'The loop over its parts was left.', this.isSent)),
        ),
    });
    options.signal?.addEventListener('abort', this.#abort);
    this.#startTimer();
  }

  receive(frame: Frame): void {
    if (frame.response_status === partial) {
      // Sent again, the parts would come twice.
      this.#retries = 0;
      this.#startTimer();
      this.#parts.push(frame.data);
    } else if (!isError(frame)) {
      this.#end();
      this.#resolve(frame.data);
    } else this.#refuse(errorOf(frame));
  }

  lose(): void {
    if (this.#mayRetry()) return;
    this.fail(this.#error('connection_lost', 'The connection was lost before the reply.', true));
  }

  fail(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #refuse(error: SignalboxError): void {
    if (error.isRetryable && this.#mayRetry()) this.#desk.askAgain(this, error);
    else this.fail(error);
  }

  #mayRetry(): boolean {
    return this.#retries-- > 0;
  }

  #cancel(reason: unknown): void {
    if (this.#isOver) return;
    if (this.isSent) this.#desk.tell(this.#stream, 'cancel', this.id);
    this.fail(reason);
  }

  #startTimer(): void {
    const { timeout = this.#desk.options.timeout } = this.#options;
    this.#timer?.cancel();
    if (timeout === 0) return;
    this.#timer = this.#desk.options.clock.after(timeout, () =>
      this.#cancel(this.#error('timeout', `There was no reply within ${timeout} ms.`, this.isSent)),
    );
  }

  #error(code: string, sentence: string, maybeExecuted: boolean): SignalboxError {
    return clientError(code, sentence, { action: this.#action, requestId: this.id, maybeExecuted });
  }

  #end(): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.#options.signal?.removeEventListener('abort', this.#abort);
    this.#desk.forget(this.id);
  }
}
