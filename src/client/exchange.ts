import type { ReplyFrame } from '../wire/messages.js';
import type { CompleteOptions } from './client-options.js';
import { createFeed, type Feed } from './feed.js';
import { SignalboxError } from './signalbox-error.js';
import type { ConnectionStatus } from './status.js';

/** The kwargs of a request, and `action` by its name on the wire. */
export type Payload = Readonly<Record<string, unknown>> & { readonly action: string };

/** The state that the exchanges of a client share. */
export interface Desk {
  readonly options: CompleteOptions;
  /** Running exchanges by request id; frames for any other id are dropped. */
  readonly open: Map<unknown, Exchange>;
  readonly send: (text: string) => boolean;
  lastId: number;
  /** The status because of which no more requests are sent. */
  stop?: ConnectionStatus | undefined;
}

/** What requests and subscriptions do differently. */
export interface ExchangeKind {
  /** Whether it stays after its reply, and is sent again on each new connection: true for a subscription. */
  readonly stays: boolean;
  /** How often it may be sent again. */
  retries: number;
  /** Receives a reply, a part of it or an event. */
  receive(frame: ReplyFrame): void;
  /** Called when the connection that it was sent on is lost. */
  lose(): void;
  end(error?: SignalboxError): void;
}

/** A request until its reply, or a subscription until its end. */
export interface Exchange {
  readonly stream: string | null;
  readonly kind: ExchangeKind;
  /** Its first reply. */
  readonly reply: Promise<unknown>;
  readonly resolve: (data: unknown) => void;
  /** Its parts or events. */
  readonly feed: Feed;
  /**
   * Sends it, or keeps it until there is a connection.
   *
   * @returns whether it was sent
   */
  renew(): boolean;
  /** Sends it again, or ends it. A throttled request has not begun, and may always be sent again. */
  failed(error: SignalboxError): void;
  /** Ends it: nothing more is expected. */
  end(error?: SignalboxError): void;
  /** Called when the caller no longer waits for it; the server gets a cancel. */
  leave(error?: SignalboxError): void;
  /** An error that the client itself makes. */
  failure(code: string): SignalboxError;
}

export function createExchange(desk: Desk, stream: string | null, payload: Payload, kind: ExchangeKind): Exchange {
  const { options, open, send } = desk;
  const id = ++desk.lastId;
  const text = encode(stream, payload, id);
  let isSent = false;
  let isUncertain = false; // Whether it was sent before, so that the server may have run it.
  let resolve!: (data: unknown) => void;
  let reject!: (error: unknown) => void;
  const reply = new Promise((...settle) => {
    [resolve, reject] = settle;
  });
  const isOpen = (): boolean => open.has(id);
  const failure = (code: string): SignalboxError =>
    new SignalboxError(
      { code, errors: [`${payload.action}: ${code}`], action: payload.action, request_id: id },
      isSent || isUncertain,
    );
  const end = (error?: SignalboxError): void => {
    if (!open.delete(id)) return;
    reject(error ?? failure('cancelled'));
    kind.end(error);
    feed.wake();
  };
  const leave = (error?: SignalboxError): void => {
    if (isSent && isOpen())
      send(encode(stream, { action: kind.stays ? 'unsubscribe' : 'cancel', target: id }, ++desk.lastId));
    end(error);
  };
  const feed = createFeed(isOpen, leave);
  const ask = (): void => {
    isSent ||= isOpen() && send(text);
  };
  const failed = (error: SignalboxError): void => {
    isUncertain ||= error.maybeExecuted;
    isSent = false;
    const mayRetry = error.isRetryable && (error.status === 429 || kind.retries-- > 0);
    if (mayRetry) options.clock.after(error.retryAfter ?? options.random() * options.firstDelay, ask);
    else end(error);
  };
  const renew = (): boolean => {
    if (isSent) {
      kind.lose();
      isSent = false;
    }
    if (desk.stop && (desk.stop === 'closed' || !kind.stays)) end(failure(desk.stop));
    else ask();
    return isSent;
  };
  const exchange = { stream, kind, reply, resolve, feed, failure, end, leave, failed, renew };
  open.set(id, exchange);
  return exchange;
}

function encode(stream: string | null, payload: Payload, id: number): string {
  const request = { ...payload, request_id: id };
  return JSON.stringify(stream === null ? request : { stream, payload: request });
}
