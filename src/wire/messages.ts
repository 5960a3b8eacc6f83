import type { ErrorDetail } from '../errors.js';

/** A request id as the client sent it: a JSON string or number, returned with its type; null if the client sent none. */
export type RequestId = string | number | null;

/** A request from a frame: everything but `action` and `request_id` is kwargs. */
export interface ActionRequest {
  readonly action: string;
  readonly requestId: RequestId;
  readonly kwargs: Readonly<Record<string, unknown>>;
}

/** A reply, a part of one, or an event. `data` is JSON text, encoded once for any number of frames. */
export interface Reply {
  readonly action: string | null;
  readonly requestId: RequestId;
  readonly status: number;
  readonly data: string;
  readonly errors: readonly ErrorDetail[];
  /** The stable word of an error; undefined for a success. */
  readonly code?: string;
}

/** The frame of a reply, as clients see it. */
export interface ReplyFrame<Data = unknown> {
  /** The errors; empty for a success and for an event. */
  readonly errors: readonly ErrorDetail[];
  /** The data; null for an error without data, and for a success without a result. */
  readonly data: Data;
  /**
   * The action's name as the client sent it; for an event, `create`, `update`, `delete` or the name of the signal. Null if the client's
   * frame named none.
   */
  readonly action: string | null;
  /** An HTTP status; 206 for a part that further frames follow. */
  readonly response_status: number;
  /** The request id as the client sent it, with its type; for an event, the id of the request that subscribed. */
  readonly request_id: RequestId;
  /** The stable word of an error, such as `not_found`; absent for a success. */
  readonly code?: string;
}

/** The name of a member on the wire: `subscribeInstance` -> `subscribe_instance`, `exportCSV2` -> `export_csv2`. */
export function toWireName(member: string): string {
  return member.replace(/[a-z0-9](?=[A-Z])|[A-Z](?=[A-Z][a-z])/g, '$&_').toLowerCase();
}

/** The name on the wire as a type: `WireName<'exportCSV2'>` is `'export_csv2'`. */
export type WireName<Member extends string, Before extends string = ''> = Member extends `${infer First}${infer Rest}`
  ? `${BeginsWord<Before, First, Rest> extends true ? '_' : ''}${Lowercase<First>}${WireName<Rest, First>}`
  : '';

type BeginsWord<Before extends string, First extends string, Rest extends string> =
  IsUpper<First> extends false
    ? false
    : IsUpper<Before> extends true
      ? Rest extends `${infer Next}${string}`
        ? IsLower<Next>
        : false
      : Before extends Digit
        ? true
        : IsLower<Before>;

type Digit = `${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`;
type IsUpper<Letter extends string> = Letter extends Lowercase<Letter> ? false : true;
type IsLower<Letter extends string> = Letter extends Uppercase<Letter> ? false : true;
