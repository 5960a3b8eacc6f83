import { safeInstanceof } from '../dispatch/error-mapping.js';
import { ApiError } from '../errors.js';
import type { Observer } from '../observers/observer.js';
import { requestsThrough, type SubscribingRequest, type SubscriptionRecord } from '../observers/subscriptions.js';
import type { PermissionChecker } from '../permissions/permission-checker.js';
import type { GivenRights } from '../permissions/rights.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { askRights, rightsIn, rightsKey } from '../serializers/field-rights.js';
import { Status } from '../status.js';
import type { CompiledConsumer } from './compiled-consumer.js';

/** Asks again what a subscription was granted by. */
export class SubscriptionAuthorizer {
  #asksForObjects: Map<PermissionChecker, boolean> | undefined;

  /** @param loadObject the object that a request names. @throws NotFound */
  constructor(
    private readonly compiled: CompiledConsumer,
    private readonly consumer: object,
    private readonly scope: Scope,
    private readonly loadObject: (context: ActionContext) => Promise<object>,
  ) {}

  /** Whether a permission has an opinion on the objects of this request. */
  asksForObject({ action }: SubscribingRequest): boolean {
    const checker = this.#checkerOf(action);
    this.#asksForObjects ??= new Map();
    const known = this.#asksForObjects.get(checker) ?? checker.asksForObjects(this.scope);
    this.#asksForObjects.set(checker, known);
    return known;
  }

  /** Whether everything that subscribed through these groups would be granted now. */
  holds(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    return isGranted(async () => {
      await this.compiled.permissions.checkConnect(this.scope);
      for (const request of requestsThrough(record, groups)) await this.#require(record, request);
    });
  }

  /** Whether their rows would be granted too. A row that is gone, or that the query does not show, is no matter of permissions. */
  async holdsForRows(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    const { visibility } = record.observer;
    for (const request of requestsThrough(record, groups)) {
      if (!visibility || !this.asksForObject(request)) continue;
      const row = await visibility.rowOf(this.consumer, request.kwargs, this.contextOf(record, request));
      if (row && !(await this.maySee(record, request, row))) return false;
    }
    return true;
  }

  /** Asks anew what the subscription may be shown. Until it is known, that is the least. */
  async askRights(record: SubscriptionRecord, groups: readonly string[]): Promise<void> {
    const requests = requestsThrough(record, groups);
    for (const request of requests) request.rights = undefined;
    for (const request of requests) request.rights = await rightsFor(record.observer, this.contextOf(record, request));
  }

  /** Whether the request would be granted this object now. */
  maySee(record: SubscriptionRecord, request: SubscribingRequest, object: object): Promise<boolean> {
    return isGranted(() => this.#checkerOf(request.action).checkObject(this.contextOf(record, request), object));
  }

  contextOf({ requestId }: SubscriptionRecord, { action, sent }: SubscribingRequest): ActionContext {
    return new ActionContext({ scope: this.scope, action, requestId, kwargs: sent });
  }

  /** The object of a detail action is loaded again. That of a subscription of a row is its row, which may be gone or hidden. */
  async #require(record: SubscriptionRecord, request: SubscribingRequest): Promise<void> {
    const context = this.contextOf(record, request);
    const checker = this.#checkerOf(request.action);
    await checker.checkAction(context);
    if (record.observer.visibility || !this.compiled.actions.get(request.action)?.isDetail) return;
    await checker.checkObject(context, await this.loadObject(context));
  }

  /** Where an application subscribes under a name of its own, the consumer's permissions decide. */
  #checkerOf(action: string): PermissionChecker {
    return this.compiled.actions.get(action)?.permissions ?? this.compiled.permissions;
  }
}

/** What a request may be shown of an observer's events. Asked anew, whatever was answered before. */
export async function rightsFor({ serializer }: Observer, request: ActionContext): Promise<GivenRights | undefined> {
  if (!serializer || rightsIn(serializer).size === 0) return undefined;
  const { container } = request.scope;
  return askRights(serializer, {
    request: new ActionContext(request),
    resolve: (provider) => container.resolve(provider),
  });
}

/** Where several requests are concerned that differ in their rights, the least. */
export function rightsThrough(record: SubscriptionRecord, groups: readonly string[]): GivenRights | undefined {
  const { serializer } = record.observer;
  const [first, ...others] = requestsThrough(record, groups);
  if (!serializer || !first) return undefined;
  const key = rightsKey(serializer, first.rights);
  return others.every(({ rights }) => rightsKey(serializer, rights) === key) ? first.rights : undefined;
}

/** @throws what is no refusal: then nothing is known */
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
export function isRefusal(error: unknown): boolean {
  return (
    safeInstanceof(error, ApiError) && error.status < Status.serverError && error.status !== Status.tooManyRequests
  );
}
