import type { ReplyFrame, RequestId } from '../wire/messages.js';

/** One sentence, or the texts of each field. */
export type ErrorDetail = ReplyFrame['errors'][number];

/** Whether the same request may succeed a little later, with nothing changed. */
const passing = /^(connection_lost|timeout|server_closing|outcome_unknown|queue_full)$/;

/** What a request was answered with, or why it was not answered. */
export class SignalboxError extends Error {
  declare readonly name: string;
  /** That of the reply; 0 where there is none. */
  declare readonly status: number;
  /** The stable word of the reply, or of the client: `connection_lost`, `timeout`, `queue_full`, `buffer_full`, … */
  declare readonly code: string;
  /** Sentences, or `{ field: [texts] }`; empty where there was no reply. */
  declare readonly errors: readonly ErrorDetail[];
  /** By its name on the wire. */
  declare readonly action: string | null;
  /** That of the request, as it was sent. */
  declare readonly requestId: RequestId;
  /** The `data` of the reply: null, or `{ retry_after_ms }`. Undefined where there was no reply. */
  declare readonly data: unknown;
  /** Whether the server may have done it all the same, wholly or in part: ask before you repeat what is not idempotent. */
  declare readonly maybeExecuted: boolean;

  /**
   * @param frame the reply, or what is known without one
   * @param maybeExecuted by default where the server stopped half-way: 499, 500, 503 and 504
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
   * Whether the same request may succeed a little later: `connection_lost`, `timeout`, `queue_full`, `server_closing`,
   * `outcome_unknown`, and every reply with a `retryAfter`.
   */
  get isRetryable(): boolean {
    return passing.test(this.code) || !!this.retryAfter;
  }

  /** For how many milliseconds the server asks to be left alone, where it says so. */
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
