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
