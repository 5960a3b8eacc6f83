import type { ReplyFrame } from '../wire/messages.js';
import type { CompleteOptions } from './client-options.js';
import { SignalboxError } from './signalbox-error.js';

/** The kwargs of a request, and its `action` by its name on the wire. */
export type Payload = Readonly<Record<string, unknown>> & { readonly action: string };

/** What an exchange needs of the client. */
export interface Desk {
  readonly options: CompleteOptions;
  /** Forgets an exchange that is over: whatever still comes is none of its. */
  forget(exchange: Exchange): void;
  /** Sends it again, when the refusal says or in a while. */
  askAgain(exchange: Exchange, refusal: SignalboxError): void;
  /** Sends a frame that nobody waits for, if there is a connection: `cancel` or `unsubscribe` of an exchange. */
  tell(stream: string | null, action: string, target: number): void;
}

/** What is asked of the server and not over yet: a request until its reply, a subscription until its end. */
export abstract class Exchange {
  /** Whether it is asked for again on each new connection. */
  abstract readonly isStanding: boolean;
  /** The frame that asks. */
  readonly text: string;
  /** On the present connection. */
  isSent = false;
  /** How often it may be asked again. */
  protected retries = 0;
  /** Its reply, the first one. */
  protected readonly reply: Promise<unknown>;
  protected resolve!: (data: unknown) => void;
  protected reject!: (error: unknown) => void;

  /** @throws TypeError for what is no JSON, such as a bigint */
  constructor(
    protected readonly desk: Desk,
    readonly id: number,
    readonly stream: string | null,
    readonly payload: Payload,
  ) {
    this.text = encode(stream, payload, id);
    this.reply = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  abstract receive(frame: ReplyFrame): void;

  /** The connection that it was sent on is gone. */
  abstract lose(): void;

  /** Nothing comes any more. */
  abstract fail(error: unknown): void;

  protected mayRetry({ isRetryable }: SignalboxError): boolean {
    return isRetryable && this.retries-- > 0;
  }

  /** Tells the server that nobody waits for it any more. */
  protected tellServer(action: string): void {
    if (this.isSent) this.desk.tell(this.stream, action, this.id);
  }

  /** An error of the client's own. */
  failure(code: string, sentence: string, maybeExecuted = this.isSent): SignalboxError {
    const { action } = this.payload;
    return new SignalboxError({ code, errors: [sentence], action, request_id: this.id }, maybeExecuted);
  }
}

export function encode(stream: string | null, payload: Payload, id: number): string {
  const request = { ...payload, request_id: id };
  return JSON.stringify(stream === null ? request : { stream, payload: request });
}
