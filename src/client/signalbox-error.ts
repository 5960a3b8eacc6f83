import type { ReplyFrame, RequestId } from '../wire/messages.js';

/** One sentence, or the texts of each field. */
export type ErrorDetail = ReplyFrame['errors'][number];

export interface SignalboxErrorFacts {
  readonly status?: number;
  readonly code: string;
  readonly errors: readonly ErrorDetail[];
  readonly action?: string | null;
  readonly requestId?: RequestId;
  readonly data?: unknown;
  readonly maybeExecuted?: boolean;
}

/** Statuses of work that the server stopped half-way. */
const stoppedStatuses = [499, 500, 503, 504];

/** What a request was answered with, or why it was not answered. */
export class SignalboxError extends Error {
  override readonly name: string = 'SignalboxError';
  /** That of the reply; 0 where there is none. */
  readonly status: number;
  /** The stable word of the reply, or of the client: `connection_lost`, `timeout`, `queue_full`, `buffer_full`, … */
  readonly code: string;
  readonly errors: readonly ErrorDetail[];
  /** The name on the wire. */
  readonly action: string | null;
  readonly requestId: RequestId;
  readonly data: unknown;
  /** Whether the server may have done it all the same, wholly or in part: ask before you repeat what is not idempotent. */
  readonly maybeExecuted: boolean;

  constructor({ status = 0, code, errors, action = null, requestId = null, data, maybeExecuted }: SignalboxErrorFacts) {
    super(errors.map(textOf).join(' '));
    this.status = status;
    this.code = code;
    this.errors = errors;
    this.action = action;
    this.requestId = requestId;
    this.data = data;
    this.maybeExecuted = maybeExecuted ?? stoppedStatuses.includes(status);
  }

  /** Whether the same request may succeed a little later, with nothing changed. */
  get isRetryable(): boolean {
    return /^(connection_lost|timeout|queue_full|throttled|server_closing)$/.test(this.code);
  }

  /** For how many milliseconds the server asks to be left alone, where it says so. */
  get retryAfter(): number | undefined {
    const { retry_after_ms: hint } = (this.data ?? {}) as { retry_after_ms?: unknown };
    return typeof hint === 'number' ? hint : undefined;
  }
}

/** An error that no server sent. */
export function clientError(
  code: string,
  sentence: string,
  facts?: Pick<SignalboxErrorFacts, 'action' | 'requestId' | 'maybeExecuted' | 'status'>,
): SignalboxError {
  return new SignalboxError({ code, errors: [sentence], ...facts });
}

export function errorOf(frame: ReplyFrame): SignalboxError {
  const { response_status: status, code = 'error', errors = [], action, request_id: requestId, data } = frame;
  return new SignalboxError({ status, code, errors, action, requestId, data });
}

function textOf(detail: ErrorDetail): string {
  if (typeof detail === 'string') return detail;
  return Object.entries(detail)
    .map(([field, texts]) => `${field}: ${texts.join(' ')}`)
    .join(' ');
}
