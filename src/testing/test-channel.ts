import type { ActionApi } from '../consumers/api-types.js';
import type { ReplyFrame, WireName } from '../wire/messages.js';
import { Inbox } from './inbox.js';

/** Options of methods that wait for a frame. */
export interface ReceiveOptions {
  /** How long to wait, in milliseconds. Default: 4 000. */
  readonly timeout?: number;
}

const defaultTimeout = 4_000;

/** The part of `ConsumerApi` that a channel needs. */
export interface ConsumerView {
  /** Actions by the names of their methods. */
  readonly actions: { readonly [name: string]: ActionApi<unknown, unknown, unknown> };
  readonly observers: object;
}

/** The actions of a consumer by their names on the wire; any action if its type is unknown. */
type ActionsOf<View> = View extends ConsumerView
  ? { readonly [Name in keyof View['actions'] & string as WireName<Name>]: View['actions'][Name] }
  : { readonly [name: string]: { readonly kwargs: Readonly<Record<string, unknown>>; readonly reply: unknown } };

/** The names on the wire of a consumer's actions. */
export type TestActionName<View> = keyof ActionsOf<View> & string;

/** The parameters of `request` after the action's name: kwargs are optional if the action needs none. */
export type TestRequest<View, Name extends TestActionName<View>> = ActionsOf<View>[Name] extends {
  readonly kwargs: infer Kwargs;
}
  ? Record<never, never> extends Kwargs
    ? [kwargs?: RequestIdentity & Kwargs, options?: ReceiveOptions]
    : [kwargs: RequestIdentity & Kwargs, options?: ReceiveOptions]
  : never;

/** The data of the reply to a successful request. */
export type TestReply<View, Name extends TestActionName<View>> = ActionsOf<View>[Name] extends {
  readonly reply: infer Reply;
}
  ? Reply
  : never;

interface RequestIdentity {
  readonly request_id?: string | number;
}

/**
 * The client's end of one consumer.
 *
 * @typeParam View the type of the consumer: `Api['rooms']`. Without it, requests and replies are not typed.
 */
export class TestChannel<View = unknown> {
  /** Every frame that arrived, taken or not. */
  readonly frames: ReplyFrame[] = [];
  readonly #inbox = new Inbox<ReplyFrame>();
  /** Every binary frame that arrived. */
  readonly binaries: Uint8Array[] = [];
  readonly #post: (payload: unknown) => void;
  readonly #postBinary: (data: Uint8Array) => void;
  readonly #idle: () => Promise<void>;
  #lastId = 0;

  constructor(post: (payload: unknown) => void, postBinary: (data: Uint8Array) => void, idle: () => Promise<void>) {
    this.#post = post;
    this.#postBinary = postBinary;
    this.#idle = idle;
  }

  /** This channel without types, for requests that they would refuse: `rooms.untyped.request('create', { data: { name: 7 } })`. */
  get untyped(): TestChannel {
    return this as unknown as TestChannel;
  }

  /** Sends a payload unchanged: `{ action: 'list', request_id: 1 }`. */
  send(payload: unknown): void {
    this.#post(payload);
  }

  /** Sends a binary frame. Default: an empty one. */
  sendBinary(data: Uint8Array = new Uint8Array()): void {
    this.#postBinary(data);
  }

  /**
   * Sends a request, with a new id unless the kwargs have a `request_id`, and resolves with its final reply. Parts and events stay in the
   * inbox.
   *
   * @param action its name on the wire: `create_message`
   * @returns the reply. If the consumer's type is known, `data` has the type of a success; it is null if the request failed
   */
  request<Name extends TestActionName<View>>(
    action: Name,
    ...[kwargs = {}, { timeout = defaultTimeout } = {}]: TestRequest<View, Name>
  ): Promise<ReplyFrame<TestReply<View, Name>>> {
    const { request_id: id = `test-${++this.#lastId}`, ...rest }: RequestIdentity = kwargs;
    this.send({ action, request_id: id, ...rest });
    return this.reply(id, { timeout }) as Promise<ReplyFrame<TestReply<View, Name>>>;
  }

  /** The final reply to a request id. */
  reply(requestId: string | number | null, { timeout = defaultTimeout }: ReceiveOptions = {}): Promise<ReplyFrame> {
    return this.#inbox.take(timeout, (frame) => frame?.request_id === requestId && frame.response_status !== 206);
  }

  /**
   * Takes the next frame.
   *
   * @throws Error if none comes in time
   */
  receive({ timeout = defaultTimeout }: ReceiveOptions = {}): Promise<ReplyFrame> {
    return this.#inbox.take(timeout);
  }

  /**
   * Waits until everything that was committed is delivered.
   *
   * @throws Error if there is a frame that the spec has not taken
   */
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
