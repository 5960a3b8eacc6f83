import { type ApiError, Disconnected } from '../errors.js';
import { Status } from '../status.js';
import { errorReply } from '../wire/codec.js';
import type { ActionRequest, Reply } from '../wire/messages.js';

/** The end of a request: its status and its data as JSON text. */
export interface Outcome {
  readonly status: number;
  readonly data: string;
}

/** One request and its replies: any number of parts, then exactly one final reply, or none once the socket is gone. */
export class Exchange {
  readonly #controller = new AbortController();
  readonly #send: (reply: Reply) => void;
  readonly #ended: ((hasSucceeded: boolean) => void)[] = [];
  #work: Promise<unknown> = Promise.resolve();
  #isStarted = false;
  #isEnded = false;
  #status: number | undefined;

  /** @param id tells this request from every other one of the process */
  constructor(
    readonly id: string,
    readonly request: ActionRequest,
    readonly isDetached: boolean,
    send: (reply: Reply) => void,
  ) {
    this.#send = send;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  /** Of the final reply; undefined before it, and where nobody was left to be told. */
  get status(): number | undefined {
    return this.#status;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  start(): void {
    this.#isStarted = true;
  }

  part(data: string): void {
    if (!this.#isEnded) this.#send(this.#reply({ status: Status.partial, data }));
  }

  succeed(outcome: Outcome): void {
    this.#end(this.#reply(outcome), true);
  }

  fail(error: ApiError): void {
    this.#end(errorReply(error, this.request));
  }

  /**
   * Ends the work. The reason is what the client is told, unless it is the client that left: at once where the work has not
   * begun, else by the work itself, which may have committed already.
   */
  abort(reason: ApiError | Disconnected): void {
    if (reason instanceof Disconnected) this.#end();
    else if (!this.#isStarted) this.fail(reason);
    this.#controller.abort(reason);
  }

  /** Resolves once the final reply is sent, or nobody is left to send it to. */
  get ended(): Promise<void> {
    return this.#isEnded ? Promise.resolve() : new Promise((resolve) => this.whenEnded(() => resolve()));
  }

  /** Notes what works for it, which nobody can stop. */
  workedOn<T>(work: Promise<T>): Promise<T> {
    this.#work = work;
    return work;
  }

  /** Resolves once nothing works for it any more, which may be long after it ended. */
  get settled(): Promise<void> {
    return this.#work.then(
      () => undefined,
      () => undefined,
    );
  }

  /** Calls back once the final reply is sent. */
  whenEnded(callback: (hasSucceeded: boolean) => void): void {
    this.#ended.push(callback);
  }

  #end(reply?: Reply, hasSucceeded = false): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#status = reply?.status;
    if (reply) this.#send(reply);
    for (const callback of this.#ended.splice(0)) callback(hasSucceeded);
  }

  #reply({ status, data }: Outcome): Reply {
    const { action, requestId } = this.request;
    return { action, requestId, status, data, errors: [] };
  }
}
