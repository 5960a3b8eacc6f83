import { Status } from './status.js';

/** One entry of a reply's `errors`: a sentence, or the texts of each field. Nested fields are paths: `lines.0.amount`. */
export type ErrorDetail = string | Readonly<Record<string, readonly string[]>>;

/** The base class of all errors that Signalbox throws. */
export abstract class SignalboxError extends Error {
  /** The name of the class. */
  override get name(): string {
    return this.constructor.name;
  }
}

/** Options of an ApiError: the second parameter of `new ApiError(detail, options)`. */
export interface ApiErrorOptions {
  /** The `errors` of the reply. Default: only the sentence. */
  readonly errors?: readonly ErrorDetail[];
  /** The original error. The log shows it, clients never see it. */
  readonly cause?: unknown;
  /** Suggested retry delay in ms: `retry_after_ms` of the reply's data, or Retry-After of a refused upgrade. */
  readonly retryAfter?: number;
  /** How a developer can avoid the error. The log shows it, clients never see it. */
  readonly remedy?: string | undefined;
}

/**
 * An error for the client: its status, its code and its texts are sent. Applications add their own as subclasses:
 *
 * ```ts
 * class RoomFull extends ApiError {
 *   static override readonly status = 409;
 *   static override readonly code = 'room_full';
 *   static override readonly detail = 'This room is full.';
 * }
 * ```
 *
 * `throw new RoomFull()` in an action is answered with `{"errors": ["This room is full."], "data": null, "action": "join",
 * "response_status": 409, "request_id": 1, "code": "room_full"}`.
 */
export class ApiError extends SignalboxError {
  /** The `response_status` of the reply, or the HTTP status of a refused upgrade. Default: 500. */
  static readonly status: number = Status.serverError;
  /** A stable word for programs. After its publication its meaning never changes. */
  static readonly code: string = 'error';
  /** The sentence of an error that was thrown without one. */
  static readonly detail: string = 'A server error occurred.';

  /** The status of its class. */
  readonly status: number;
  /** The code of its class. */
  readonly code: string;
  /** The `errors` of the reply. */
  readonly errors: readonly ErrorDetail[];
  /**
   * Suggested retry delay in ms: `retry_after_ms` of the reply's data, or Retry-After of a refused upgrade; undefined if waiting does not
   * help.
   */
  readonly retryAfter: number | undefined;
  /** How a developer can avoid the error. The log shows it, clients never see it. */
  readonly remedy: string | undefined;

  constructor(detail?: string, { errors, cause, retryAfter, remedy }: ApiErrorOptions = {}) {
    const { status, code, detail: standing } = new.target;
    super(detail ?? standing, cause === undefined ? undefined : { cause });
    this.status = status;
    this.code = code;
    this.errors = errors ?? [this.message];
    this.retryAfter = retryAfter;
    this.remedy = remedy;
  }
}

/** The frame is no JSON, or no valid request. */
export class ParseError extends ApiError {
  static override readonly status = Status.badRequest;
  static override readonly code: string = 'parse_error';
  static override readonly detail: string = 'Malformed request.';
}

/** The client's data break the rules; `errors` holds `{field: [texts]}`. */
export class ValidationFailed extends ApiError {
  static override readonly status = Status.badRequest;
  static override readonly code: string = 'validation_failed';
  static override readonly detail: string = 'Invalid input.';

  /** @param fields the texts of each field, in the order in which they are shown */
  static of(
    fields: Readonly<Record<string, readonly string[]>>,
    options: Pick<ApiErrorOptions, 'remedy'> = {},
  ): ValidationFailed {
    return new ValidationFailed(undefined, { ...options, errors: [fields] });
  }
}

/** The action or connection needs a logged-in user. */
export class NotAuthenticated extends ApiError {
  static override readonly status = Status.unauthorized;
  static override readonly code: string = 'not_authenticated';
  static override readonly detail: string = 'Authentication credentials were not provided.';
}

/** The session or token has expired; the client needs a fresh token, or a new login. */
export class SessionExpired extends NotAuthenticated {
  static override readonly code: string = 'session_expired';
  static override readonly detail: string = 'The session has expired.';
}

/** The client may not do this. */
export class PermissionDenied extends ApiError {
  static override readonly status = Status.forbidden;
  static override readonly code: string = 'permission_denied';
  static override readonly detail: string = 'You do not have permission to perform this action.';
}

/** The client's right to a subscription has ended, and the subscription with it. */
export class Revoked extends ApiError {
  static override readonly status = Status.forbidden;
  static override readonly code: string = 'revoked';
  static override readonly detail: string = 'You may no longer follow this.';
}

/** There is no such object, or the client may not know that it exists. */
export class NotFound extends ApiError {
  static override readonly status = Status.notFound;
  static override readonly code: string = 'not_found';
  static override readonly detail: string = 'Not found.';
}

/** No consumer serves a stream of this name. */
export class StreamNotFound extends NotFound {
  static override readonly code: string = 'stream_not_found';

  /**
   * @param open the streams that the client may use
   * @param near similar names, which a second text lists
   */
  static named(stream: string, open: readonly string[], near: readonly string[] = []): StreamNotFound {
    const list = open.length > 0 ? ` There are: ${open.join(', ')}.` : '';
    return new StreamNotFound(...withNearNames(`No stream "${stream}".${list}`, near));
  }
}

/** The consumer of this stream has closed it; the other streams stay open. */
export class StreamClosed extends ApiError {
  static override readonly status = Status.gone;
  static override readonly code: string = 'stream_closed';
  static override readonly detail: string = 'This stream is closed.';
}

/** No action has this name. The texts are DCRF's. */
export class ActionNotFound extends ApiError {
  static override readonly status = Status.methodNotAllowed;
  static override readonly code: string = 'action_not_found';
  static override readonly detail: string = 'Unable to find action in message body.';

  /** @param near similar names, which a second text lists */
  static named(action: string, near: readonly string[] = []): ActionNotFound {
    return new ActionNotFound(...withNearNames(`Method "${action}" not allowed.`, near));
  }
}

/** The parameters of an error with a text, and a second text if there are similar names. */
function withNearNames(text: string, near: readonly string[]): [detail: string, options?: ApiErrorOptions] {
  if (near.length === 0) return [text];
  return [text, { errors: [text, `Did you mean ${near.map((name) => `"${name}"`).join(' or ')}?`] }];
}

/** The request conflicts with stored data: a duplicate of a unique value, or a row that has changed meanwhile. */
export class Conflict extends ApiError {
  static override readonly status = Status.conflict;
  static override readonly code: string = 'conflict';
  static override readonly detail: string = 'The request conflicts with the current state.';
}

/** The client exceeds a limit; see `docs/limits.md`. */
export class Throttled extends ApiError {
  static override readonly status = Status.tooManyRequests;
  static override readonly code: string = 'throttled';
  static override readonly detail: string = 'Request was throttled.';
}

/** The process has as many connections as allowed, or accepts no more at the moment. */
export class Overloaded extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'overloaded';
  static override readonly detail: string = 'The server has no room for another connection.';
}

/** The client cancelled its request. */
export class Cancelled extends ApiError {
  static override readonly status = Status.cancelled;
  static override readonly code: string = 'cancelled';
  static override readonly detail: string = 'The request was cancelled.';
}

/** The server is closing; the request took no effect unless it is an action without a transaction. */
export class ServerClosing extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'server_closing';
  static override readonly detail: string = 'The server is closing.';
}

/**
 * The database cannot be reached, or ended the connection. The request took no effect unless it is an action without a transaction;
 * `retry_after_ms` suggests when to repeat it.
 */
export class Unavailable extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'unavailable';
  static override readonly detail: string = 'The connection to the database failed. Try again later.';
}

/**
 * The connection to the database was lost during a commit: the request may or may not have taken effect. The client should check that
 * before it repeats something that must not happen twice.
 */
export class OutcomeUnknown extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'outcome_unknown';
  static override readonly detail: string =
    'The connection to the database was lost during the commit. The request may have taken effect.';
}

/**
 * The channel layer cannot be reached, or accepts no more at the moment. The work that needs it did not happen, or may have happened;
 * `retry_after_ms` suggests when to repeat it. Other work is not affected.
 */
export class ChannelLayerUnavailable extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'unavailable';
  static override readonly detail: string = 'The channel layer cannot be reached. Try again later.';

  constructor(detail?: string, options: ApiErrorOptions = {}) {
    // Random, so that refused clients do not all return at once.
    super(detail, { retryAfter: 1_000 + Math.random() * 2_000, ...options });
  }
}

/** An upgrade, or repeated connect permissions, took longer than `handshakeTimeLimit`. */
export class HandshakeTimedOut extends ApiError {
  static override readonly status = Status.unavailable;
  static override readonly code: string = 'handshake_timed_out';
  static override readonly detail: string = 'The server took too long to answer. Try again later.';
}

/** The action exceeded its time limit. */
export class TimeLimitExceeded extends ApiError {
  static override readonly status = Status.timeLimit;
  static override readonly code: string = 'time_limit_exceeded';
  static override readonly detail: string = 'The action exceeded its time limit.';
}

/** The reply for an unexpected error. The log shows the whole error with the correlation id. */
export class UnexpectedError extends ApiError {
  static override readonly code: string = 'server_error';

  constructor(
    /** The id under which the log has the whole error. */
    readonly correlationId: string,
  ) {
    super(`A server error occurred. Correlation id: ${correlationId}.`);
  }
}

/** The client has disconnected. It is never sent; it is the reason of an aborted signal. */
export class Disconnected extends SignalboxError {}

/** The four parts of a ConfigurationError's sentence: `Class.member: reason remedy`. */
export interface ConfigurationFault {
  /** The class, function or option object with the mistake. */
  readonly class: string;
  /** The method, property or option; undefined if the whole class is meant. */
  readonly member?: string;
  /** The mistake, as the rest of a sentence: `has no rule.` */
  readonly reason: string;
  /** The remedy, as a sentence: `Decorate it with @Length().` */
  readonly remedy: string;
}

/** A mistake in the application's declarations, found when the class is defined or when the application starts. */
export class ConfigurationError extends SignalboxError {
  constructor({ class: className, member, reason, remedy }: ConfigurationFault, options?: ErrorOptions) {
    super(`${member === undefined ? className : `${className}.${member}`}: ${reason} ${remedy}`, options);
  }
}

/** A message is longer than the channel layer allows. It was not sent. */
export class MessageTooLarge extends SignalboxError {
  constructor(
    /** The size of the message as JSON, in bytes. */
    readonly size: number,
    /** The largest size that the layer accepts, in bytes. */
    readonly limit: number,
  ) {
    super(
      `A message of ${size} bytes is longer than the ${limit} bytes that the channel layer accepts (its option largestMessage). ` +
        'Store long data, and send their key.',
    );
  }
}

/** An action without a transaction returned before it flushed its changes; the client gets a `server_error`. */
export class UnflushedChanges extends SignalboxError {
  /** @param changes such as `Room.name`, `Room.members`, `new Room`, `removed Room` */
  constructor(consumer: string, action: string, changes: readonly string[]) {
    super(
      `${consumer}.${action} returned with changes that are not stored: ${changes.join(', ')}. ` +
        'Call `await this.em.flush()` before it returns, or make it atomic: @Action({ atomic: true }).',
    );
  }
}
