import type { RequestId } from '../wire/messages.js';
import type { Scope } from './scope.js';

export interface ActionFacts {
  readonly scope: Scope;
  readonly action: string;
  readonly requestId: RequestId;
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Default: false. */
  readonly isDelivery?: boolean;
  /** Default: a signal that is never aborted. */
  readonly signal?: AbortSignal;
}

/** The facts of one request: the last parameter of every action. */
export class ActionContext {
  /** The connection of the client. */
  readonly scope: Scope;
  /** The method's name on the wire: `create_message`. */
  readonly action: string;
  /** The request id as the client sent it, with its type; null if the client sent none. */
  readonly requestId: RequestId;
  /**
   * All kwargs of the client. Those that the action declares, and the key of the object, are checked. If they are invalid, a permission
   * that reads one of them ends the request with that error; a permission that does not may refuse the request first. At a delivery: only
   * the kwargs that the action declares or has subscribed with.
   */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /**
   * True if the client sent no request now: a permission is asked again for a subscription that this request made, or one of its events is
   * serialized. Code that counts requests, such as a throttle, should skip these.
   */
  readonly isDelivery: boolean;
  #signal: AbortSignal | undefined;

  constructor({ scope, action, requestId, kwargs, isDelivery = false, signal }: ActionFacts) {
    this.scope = scope;
    this.action = action;
    this.requestId = requestId;
    this.kwargs = kwargs;
    this.isDelivery = isDelivery;
    this.#signal = signal;
  }

  /**
   * Aborted when the client disconnects, when the request is cancelled or exceeds its time limit, and on shutdown. Its reason is the error.
   */
  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }
}
