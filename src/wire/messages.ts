import type { ErrorDetail } from '../errors.js';

/** As it came: a JSON string or number, given back with its type; null where the client gave none. */
export type RequestId = string | number | null;

/** A request after the frame was read: everything but `action` and `request_id` is kwargs. */
export interface ActionRequest {
  readonly action: string;
  readonly requestId: RequestId;
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** A reply, a part of one, or an event. `data` is JSON text already: it is encoded once however many frames carry it. */
export interface Reply {
  readonly action: string | null;
  readonly requestId: RequestId;
  readonly status: number;
  readonly data: string;
  readonly errors: readonly ErrorDetail[];
  /** Present on errors only. */
  readonly code?: string;
}

/** The frame of a reply, as clients see it. */
export interface ReplyFrame<Data = unknown> {
  /** Empty for a success and for an event. */
  readonly errors: readonly ErrorDetail[];
  /** Null for an error without data, and for a success that has none. */
  readonly data: Data;
  /**
   * The name that the client called it by; of an event, `create`, `update`, `delete` or that of the signal. Null where the frame of
   * the client named none.
   */
  readonly action: string | null;
  /** An HTTP status; 206 for a part that others follow. */
  readonly response_status: number;
  /** As the client sent it, with its type; of an event, that of the request that subscribed. */
  readonly request_id: RequestId;
  /** The stable word of an error, such as `not_found`; absent for a success. */
  readonly code?: string;
}
