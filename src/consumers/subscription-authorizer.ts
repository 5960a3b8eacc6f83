import type { Clock } from '../clock.js';
import { safeInstanceof } from '../dispatch/error-mapping.js';
import { ApiError } from '../errors.js';
import type { PermissionAnswer } from '../inspection.js';
import type { Observer } from '../observers/observer.js';
import type { SubscribingRequest, SubscriptionRecord } from '../observers/subscription-index.js';
import { requestsThrough } from '../observers/subscriptions.js';
import type { Delivery } from '../permissions/permission.js';
import type { Answers, GrantingRequest, Opinions, PermissionChecker } from '../permissions/permission-checker.js';
import type { GivenRights } from '../permissions/rights.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { askRights, rightsIn, rightsKey } from '../serializers/field-rights.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import type { CompiledConsumer } from './compiled-consumer.js';

/** A request that subscribed, as it is asked again whether it would be granted. */
export interface Question extends GrantingRequest {
  readonly request: SubscribingRequest;
  readonly permissions: PermissionChecker;
  /** Whether the answers are those of an earlier question, which hold until `@RevokedBy` says that the right changed. */
  readonly isKnown: boolean;
}

/** What was said of a request when it was asked again the last time. */
interface Granted {
  /** By `Clock.elapsed`. */
  readonly at: number;
  readonly answers: Answers;
}

export interface AuthorizerServices {
  readonly clock: Clock;
  readonly settings: Pick<Settings, 'grantTimeLimit'>;
}

/**
 * Asks again what a subscription was granted by: the permissions of the consumer and of the action that subscribed, with what
 * was kept of its kwargs, and for its object. Where `@RevokedBy` says what the right depends on, an answer holds until that changes,
 * for `grantTimeLimit` at the longest; elsewhere it holds for one event.
 */
export class SubscriptionAuthorizer {
  /** Found out once per action: a question may be a field, which only an instance of the permission shows. */
  #opinions: Map<PermissionChecker, Opinions> | undefined;
  #granted: WeakMap<SubscribingRequest, Granted> | undefined;

  /** @param loadObject the object that a request names. @throws NotFound */
  constructor(
    private readonly compiled: CompiledConsumer,
    private readonly consumer: object,
    private readonly scope: Scope,
    private readonly loadObject: (context: ActionContext) => Promise<object>,
    private readonly services: AuthorizerServices,
  ) {}

  /** Whether an event that comes through these groups has to be asked for. */
  asksForEvent(record: SubscriptionRecord, groups: readonly string[], isOrdered: boolean): boolean {
    const isRevocable = record.observer.revocations.length > 0;
    if (this.asksRightsForEvent(record, groups, isOrdered)) return true;
    if (!isRevocable && this.compiled.isOpen) return false;
    if (this.isDue(record, groups, isOrdered)) return true;
    return requestsThrough(record, groups).some((request) => {
      const { deliveries, events } = this.#opinionsOn(request);
      return events || (!isRevocable && (deliveries || this.#hasObject(record, request)));
    });
  }

  /** Whether a permission has an opinion on the objects of this request. */
  asksForObject(request: SubscribingRequest): boolean {
    return this.#opinionsOn(request).objects;
  }

  /**
   * Whether an event is the moment to ask again what `@RevokedBy` watches: no answer is known, it is older than
   * `grantTimeLimit`, or the event may have overtaken the message that the right changed.
   *
   * @param isOrdered whether such a message came before the event if its commit did
   */
  isDue(record: SubscriptionRecord, groups: readonly string[], isOrdered: boolean): boolean {
    if (record.observer.revocations.length === 0) return false;
    if (!isOrdered) return true;
    const { clock, settings } = this.services;
    const now = clock.elapsed();
    return requestsThrough(record, groups).some((request) => {
      const granted = this.#granted?.get(request);
      return !granted || now - granted.at >= settings.grantTimeLimit;
    });
  }

  /**
   * Whether the rights to fields have to be asked for an event: as `@RevokedBy` says; without it, a subscription of a row shows what
   * `retrieve` would show now, and any other keeps those that it began with.
   */
  asksRightsForEvent(record: SubscriptionRecord, groups: readonly string[], isOrdered: boolean): boolean {
    const { hasRights, revocations, visibility } = record.observer;
    if (!hasRights) return false;
    return revocations.length > 0 ? this.isDue(record, groups, isOrdered) : visibility !== undefined;
  }

  /** Earlier answers hold no more. */
  forget(record: SubscriptionRecord, groups: readonly string[]): void {
    for (const request of requestsThrough(record, groups)) this.#granted?.delete(request);
  }

  /** What has to be asked for one event. */
  questions(record: SubscriptionRecord, groups: readonly string[]): readonly Question[] {
    return requestsThrough(record, groups).map((request) => {
      const context = this.#contextOf(record, request);
      const known = this.#granted?.get(request)?.answers;
      return {
        request,
        context,
        permissions: this.#checkerOf(request.action),
        answers: new Map(known),
        isKnown: known !== undefined,
        object: this.#hasObject(record, request) ? once(() => this.loadObject(context)) : undefined,
      };
    });
  }

  /**
   * Whether everything that subscribed through these groups would be granted now. The answers are kept where `@RevokedBy`
   * says how long they hold.
   */
  holds(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    this.forget(record, groups);
    return isGranted(async () => {
      const at = this.services.clock.elapsed();
      await this.compiled.permissions.checkConnect(this.scope);
      for (const question of this.questions(record, groups)) {
        await this.#require(record, question);
        if (record.observer.revocations.length === 0) continue;
        this.#granted ??= new WeakMap();
        this.#granted.set(question.request, { at, answers: question.answers });
      }
    });
  }

  /**
   * Whether their rows would be granted too: not a row that is there and that the query does not show. One that is gone is no
   * matter of rights, and has an event of its own.
   */
  async holdsForRows(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    const { visibility } = record.observer;
    if (!visibility) return true;
    for (const question of this.questions(record, groups)) {
      const { request, context } = question;
      if (!visibility.isNarrowed && !this.asksForObject(request)) continue;
      const row = await visibility.rowOf(this.consumer, request.kwargs, context);
      if (row === 'hidden' || (row && !(await this.maySee(question, row)))) return false;
    }
    return true;
  }

  /** Asks anew what the subscription may be shown. Until it is known, that is the least; after a failure the next event asks again. */
  async askRights(record: SubscriptionRecord, groups: readonly string[]): Promise<void> {
    const requests = requestsThrough(record, groups);
    for (const request of requests) request.rights = undefined;
    try {
      for (const request of requests)
        request.rights = await rightsFor(record.observer, this.#contextOf(record, request));
    } catch (error) {
      this.forget(record, groups);
      throw error;
    }
  }

  /**
   * Whether the request would be granted this row now. Yes where the action itself is refused: that is no matter of the row,
   * and `mayReceive` refuses the event. What is said of the row is no answer to other questions: it may still be told as a delete.
   */
  async maySee({ permissions, context, answers }: Question, row: object): Promise<boolean> {
    if (!(await isGranted(() => permissions.checkAction(context, answers)))) return true;
    return isGranted(() => permissions.checkObject(context, row, new Map(answers)));
  }

  /** Whether an event may be sent. An ApiError that a permission throws is its refusal. */
  async mayReceive(
    { observer }: SubscriptionRecord,
    question: Question,
    delivery: Delivery,
    note?: (answer: PermissionAnswer) => void,
  ): Promise<boolean> {
    // A deleted row may be the object itself, and its event shows nothing but the key.
    const isGone = delivery.action === 'delete' && observer.model === this.compiled.model;
    const object = isGone ? undefined : question.object;
    try {
      // The query has an opinion too, also where no permission has one on objects.
      if (!question.isKnown) await object?.();
      return await question.permissions.mayReceive(delivery, { ...question, object }, note);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  #contextOf({ requestId }: SubscriptionRecord, { action, sent }: SubscribingRequest): ActionContext {
    return new ActionContext({ scope: this.scope, action, requestId, kwargs: sent, isDelivery: true });
  }

  /** The object of a detail action is loaded again. That of a subscription of a row is its row, which may be gone or hidden. */
  async #require(record: SubscriptionRecord, { request, context, permissions, answers }: Question): Promise<void> {
    await permissions.checkAction(context, answers);
    if (record.observer.visibility || !this.compiled.actions.get(request.action)?.isDetail) return;
    await permissions.checkObject(context, await this.loadObject(context), answers);
  }

  /** Whether a permission or the query has an opinion on the object that this request named. */
  #hasObject({ observer }: SubscriptionRecord, request: SubscribingRequest): boolean {
    if (observer.visibility || !this.compiled.actions.get(request.action)?.isDetail) return false;
    return this.compiled.isNarrowed || this.#opinionsOn(request).objects;
  }

  #opinionsOn({ action }: SubscribingRequest): Opinions {
    const permissions = this.#checkerOf(action);
    this.#opinions ??= new Map();
    const known = this.#opinions.get(permissions);
    if (known) return known;
    const opinions = permissions.opinionsOn(this.scope);
    this.#opinions.set(permissions, opinions);
    return opinions;
  }

  /** Where an application subscribes under a name of its own, the consumer's permissions decide. */
  #checkerOf(action: string): PermissionChecker {
    return this.compiled.actions.get(action)?.permissions ?? this.compiled.permissions;
  }
}

/** Loads at the first call, and gives the same afterwards. */
function once(load: () => Promise<object>): () => Promise<object> {
  let loaded: Promise<object> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
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
