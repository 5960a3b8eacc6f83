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
  readonly errors: readonly ErrorDetail[];
  readonly data: Data;
  readonly action: string | null;
  readonly response_status: number;
  readonly request_id: RequestId;
  readonly code?: string;
}
