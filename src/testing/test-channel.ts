import type { ReplyFrame } from '../wire/messages.js';
import { Inbox } from './inbox.js';

export interface ReceiveOptions {
  /** How long to wait, in milliseconds. Default 4 000. */
  readonly timeout?: number;
}

const defaultTimeout = 4_000;

/** The client's end of one consumer. */
export class TestChannel {
  /** Every frame that came, taken or not. */
  readonly frames: ReplyFrame[] = [];
  readonly #inbox = new Inbox<ReplyFrame>();
  readonly #post: (payload: unknown) => void;
  readonly #idle: () => Promise<void>;
  #lastId = 0;

  constructor(post: (payload: unknown) => void, idle: () => Promise<void>) {
    this.#post = post;
    this.#idle = idle;
  }

  /** Sends a payload as it is: `{ action: 'list', request_id: 1 }`. */
  send(payload: unknown): void {
    this.#post(payload);
  }

  /**
   * Sends a request with an id of its own unless the kwargs have a `request_id`, and resolves with its final reply; parts and
   * events stay in the inbox.
   */
  request(
    action: string,
    kwargs: { readonly request_id?: string | number } & Readonly<Record<string, unknown>> = {},
    { timeout = defaultTimeout }: ReceiveOptions = {},
  ): Promise<ReplyFrame> {
    const { request_id: id = `test-${++this.#lastId}`, ...rest } = kwargs;
    this.send({ action, request_id: id, ...rest });
    return this.reply(id, { timeout });
  }

  /** The final reply to a request id. */
  reply(requestId: string | number | null, { timeout = defaultTimeout }: ReceiveOptions = {}): Promise<ReplyFrame> {
    return this.#inbox.take(timeout, (frame) => frame?.request_id === requestId && frame.response_status !== 206);
  }

  /** The next frame. @throws Error if none comes in time */
  receive({ timeout = defaultTimeout }: ReceiveOptions = {}): Promise<ReplyFrame> {
    return this.#inbox.take(timeout);
  }

  /** Waits until everything that was committed is delivered. @throws Error if a frame is there that nobody took */
  async expectSilence(): Promise<void> {
    await this.#idle();
    const frames = this.#inbox.takeAll();
    if (frames.length > 0) throw new Error(`Silence was expected. There came: ${JSON.stringify(frames)}`);
  }

  /** A frame from the server. */
  put(frame: ReplyFrame): void {
    this.frames.push(frame);
    this.#inbox.put(frame);
  }
}
