import type { ReplyFrame, RequestId } from '../wire/messages.js';

/** One sentence, or the error texts of each field. */
export type ErrorDetail = ReplyFrame['errors'][number];

/** Errors after which the same request may succeed a little later, with nothing changed. */
const passing = /^(connection_lost|timeout|server_closing|outcome_unknown|queue_full)$/;

/** The error of a request: its reply's, or the reason why there was no reply. */
export class SignalboxError extends Error {
  /** Always `SignalboxError`. */
  declare readonly name: string;
  /** The status of the reply; 0 if there was none. */
  declare readonly status: number;
  /** The stable word of the reply, or of the client: `connection_lost`, `timeout`, `queue_full`, `buffer_full`, … */
  declare readonly code: string;
  /** Sentences, or `{ field: [texts] }`; empty if there was no reply. */
  declare readonly errors: readonly ErrorDetail[];
  /** The action, by its name on the wire; null if there is none. */
  declare readonly action: string | null;
  /** The id of the request, as it was sent. */
  declare readonly requestId: RequestId;
  /** The `data` of the reply: null, or `{ retry_after_ms }`. Undefined if there was no reply. */
  declare readonly data: unknown;
  /**
   * Whether the server may have run the action nevertheless, fully or in part: check before you repeat an action that is not idempotent.
   */
  declare readonly maybeExecuted: boolean;

  /**
   * @param frame the reply, or what is known without one
   * @param maybeExecuted default: true for replies after which the server may have stopped half-way: 499, 500, 503 and 504
   */
  constructor(
    {
      response_status: status = 0,
      code = 'error',
      errors = [],
      data,
      action = null,
      request_id: requestId = null,
    }: Partial<ReplyFrame>,
    maybeExecuted = status > 498,
  ) {
    super(errors.map(textOf).join(' '));
    Object.assign(this, { name: 'SignalboxError', status, code, errors, data, action, requestId, maybeExecuted });
  }

  /**
   * Whether the same request may succeed a little later: `connection_lost`, `timeout`, `queue_full`, `server_closing`, `outcome_unknown`,
   * and every reply with a `retryAfter`.
   */
  get isRetryable(): boolean {
    return passing.test(this.code) || !!this.retryAfter;
  }

  /** How many milliseconds the server asks the client to wait; undefined if it names no time. */
  get retryAfter(): number | undefined {
    return (this.data as { readonly retry_after_ms?: number } | null | undefined)?.retry_after_ms;
  }
}

function textOf(detail: ErrorDetail): string {
  if (typeof detail === 'string') return detail;
  return Object.entries(detail)
    .map(([field, texts]) => `${field}: ${texts.join(' ')}`)
    .join(' ');
}
