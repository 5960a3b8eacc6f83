import type { RequestId } from '../wire/messages.js';
import type { Scope } from './scope.js';

export interface ActionFacts {
  readonly scope: Scope;
  readonly action: string;
  readonly requestId: RequestId;
  readonly kwargs: Readonly<Record<string, unknown>>;
  /** Default: false. */
  readonly isDelivery?: boolean;
  /** Default: one that is never aborted. */
  readonly signal?: AbortSignal;
}

/** The facts of one request; the last parameter of every action. */
export class ActionContext {
  /** The connection of the client. */
  readonly scope: Scope;
  /** The method's name on the wire: `create_message`. */
  readonly action: string;
  /** As the client sent it, with its type; null where it sent none. */
  readonly requestId: RequestId;
  /**
   * All that came. The names that the action declares, and the key by which the client names the object, are checked: a permission
   * that looks at them in a request whose kwargs do not fit ends it with that error, and one that does not may refuse it first.
   * At a delivery: of these, the ones that the action declares or has subscribed with.
   */
  readonly kwargs: Readonly<Record<string, unknown>>;
  /**
   * Whether the client sent no request now: a subscription that this request made is asked again whether it would still be
   * granted, or one of its events is shown. What counts requests, a throttle for example, leaves these out.
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

  /** Aborted by disconnect, by a cancel of this request, by its time limit, by shutdown. Its reason is the error. */
  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }
}
