import type { ReplyFrame } from '../wire/messages.js';
import type { CompleteOptions } from './client-options.js';
import type { SignalboxError } from './signalbox-error.js';

/** What came from the server, with as many of its keys as it has. */
export type Frame = ReplyFrame;

/** The kwargs of a request, and its `action` by its name on the wire. */
export type Payload = Readonly<Record<string, unknown>> & { readonly action: string };

/** What is asked of the server and not over yet: a request until its reply, a subscription until its end. */
export interface Exchange {
  readonly id: number;
  /** The frame that asks. */
  readonly text: string;
  /** Whether it was sent on the present socket. */
  isSent: boolean;
  receive(frame: Frame): void;
  /** The socket that it was sent on is gone. */
  lose(): void;
  /** Nothing comes any more. */
  fail(error: SignalboxError): void;
}

/** What an exchange needs of the client. */
export interface Desk {
  readonly options: CompleteOptions;
  /** Forgets an exchange that is over: whatever still comes is none of its. */
  forget(id: number): void;
  /** Sends it again, when the refusal says or in a while. */
  askAgain(exchange: Exchange, refusal: SignalboxError): void;
  /** Sends a frame that nobody waits for, if there is a connection: `cancel` or `unsubscribe` of an exchange. */
  tell(stream: string | null, action: string, target: number): void;
}

/** @throws TypeError for what is no JSON, such as a bigint */
export function encode(stream: string | null, payload: Payload, id: number): string {
  const request = { ...payload, request_id: id };
  return JSON.stringify(stream === null ? request : { stream, payload: request });
}

export function isError({ response_status: status }: Frame): boolean {
  return !(status >= 200 && status < 300);
}
