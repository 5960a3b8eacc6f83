import type { Actions } from '../dispatch/actions.js';
import { ApiError } from '../errors.js';
import { requestsThrough, type SubscribingRequest, type SubscriptionRecord } from '../observers/subscriptions.js';
import type { PermissionChecker } from '../permissions/permission-checker.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { Status } from '../status.js';

export interface GrantParts {
  readonly consumer: object;
  readonly scope: Scope;
  readonly actions: Actions;
  readonly permissions: PermissionChecker;
}

/** Asks again what a subscription was granted by. */
export class Grants {
  readonly #parts: GrantParts;
  readonly #asksForObjects = new Map<PermissionChecker, boolean>();

  constructor(parts: GrantParts) {
    this.#parts = parts;
  }

  /** Whether a permission has an opinion on the objects of this request. */
  asksForObject({ action }: SubscribingRequest): boolean {
    const checker = this.#checkerOf(action);
    const known = this.#asksForObjects.get(checker) ?? checker.asksForObjects(this.#parts.scope);
    this.#asksForObjects.set(checker, known);
    return known;
  }

  /** Whether everything that subscribed through these groups would be granted now. */
  holds(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    return isGranted(async () => {
      await this.#parts.permissions.checkConnect(this.#parts.scope);
      for (const request of requestsThrough(record, groups))
        await this.#checkerOf(request.action).checkAction(this.contextOf(record, request));
    });
  }

  /** Whether their rows would be granted too. One that is not there, or not shown, is no matter of permissions. */
  async holdsForRows(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    const { visibility } = record.observer;
    for (const request of requestsThrough(record, groups)) {
      if (!visibility || !this.asksForObject(request)) continue;
      const row = await visibility.rowOf(this.#parts.consumer, request.kwargs, this.contextOf(record, request));
      if (row && !(await this.maySee(record, request, row))) return false;
    }
    return true;
  }

  /** Whether the request would be granted this object now. */
  maySee(record: SubscriptionRecord, request: SubscribingRequest, object: object): Promise<boolean> {
    return isGranted(() => this.#checkerOf(request.action).checkObject(this.contextOf(record, request), object));
  }

  contextOf({ requestId }: SubscriptionRecord, { action, sent }: SubscribingRequest): ActionContext {
    const { signal } = new AbortController();
    return new ActionContext({ scope: this.#parts.scope, action, requestId, kwargs: sent, signal });
  }

  /** What an application subscribes under a name of its own is the consumer's permissions to decide. */
  #checkerOf(action: string): PermissionChecker {
    return this.#parts.actions.find(action)?.permissions ?? this.#parts.permissions;
  }
}

/** @throws what is no refusal: nobody knows then */
async function isGranted(ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

/** A permission may refuse by any error that is the client's; a limit or a failure of the server is none. */
function isRefusal(error: unknown): boolean {
  return error instanceof ApiError && error.status < Status.serverError && error.status !== Status.tooManyRequests;
}
