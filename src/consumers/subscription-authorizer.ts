import type { Clock } from '../clock.js';
import { safeInstanceof } from '../dispatch/error-mapping.js';
import { ApiError } from '../errors.js';
import type { PermissionAnswer } from '../inspection.js';
import type { Observer } from '../observers/observer.js';
import type { SubscribingRequest, SubscriptionRecord } from '../observers/subscriptions.js';
import type { Delivery, GivenRights } from '../permissions/permission.js';
import type { Answers, GrantingRequest, PermissionChecker } from '../permissions/permission-checker.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { askRights, rightsIn, rightsKey } from '../serializers/field-rights.js';
import type { Settings } from '../settings.js';
import { Status } from '../status.js';
import type { CompiledConsumer } from './compiled-consumer.js';

/** What is asked of every event of an observer that was subscribed by one action. Found out once: it stays for the connection. */
interface Checks {
  readonly observer: Observer;
  readonly action: string;
  readonly permissions: PermissionChecker;
  /** Whether a permission has an opinion on the objects of such a request. */
  readonly judgesObjects: boolean;
  /** Whether a permission or the query has an opinion on the object that such a request named. */
  readonly hasObject: boolean;
  /** Whether each event is asked for, whatever is known of the right. */
  readonly isAsked: boolean;
  /** Whether the row behind the event is judged, or shown in another way than to all. */
  readonly isLookedAt: boolean;
}

/** How one event reaches one subscription. Found out when its turn has come. */
export interface DeliveryPlan {
  /** The requests through which the event comes. */
  readonly requests: readonly SubscribingRequest[];
  /** The checks of these requests, in their order. */
  readonly checks: readonly Checks[];
  /** Whether a permission or a query has to be asked. Nothing below holds where not. */
  readonly isAsked: boolean;
  readonly isLookedAt: boolean;
  /**
   * Whether the event is the moment to ask again what `@RevokedBy` watches: no answer is known, it is older than `grantTimeLimit`, or
   * the event may have overtaken the message that the right changed.
   */
  readonly isDue: boolean;
  /** Whether the rights to fields are asked for. */
  readonly asksRights: boolean;
}

/** A request that subscribed, as it is asked again whether it would be granted. */
export interface Question extends GrantingRequest, Checks {
  readonly request: SubscribingRequest;
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
  /** A list: there are few, and in a process there are many such lists. */
  #checks: readonly Checks[] = [];
  #granted: WeakMap<SubscribingRequest, Granted> | undefined;

  /** @param loadObject the object that a request names. @throws NotFound */
  constructor(
    private readonly compiled: CompiledConsumer,
    private readonly consumer: object,
    private readonly scope: Scope,
    private readonly loadObject: (context: ActionContext) => Promise<object>,
    private readonly services: AuthorizerServices,
  ) {}

  /**
   * Where `@RevokedBy` says what the right depends on, the rights to fields are asked when the permissions are; without it, a subscription
   * of a row shows what `retrieve` would show now, and any other keeps those that it began with.
   *
   * @param isOrdered whether the message that a commit changed the right came before all that shows what was written since: not where a
   * signal was sent outside of any transaction, nor where the row is read again, which may be newer
   */
  planFor(record: SubscriptionRecord, groups: readonly string[], isOrdered: boolean): DeliveryPlan {
    const { revocations, hasRights, visibility } = record.observer;
    const isRevocable = revocations.length > 0;
    if (this.#isUnasked(record)) return unasked;
    const requests = requestsThrough(record, groups);
    const checks = requests.map((request) => this.#checksFor(record, request));
    const isLookedAt =
      visibility !== undefined &&
      (visibility.isLookedAt || visibility.isFiltered(this.consumer) || checks.some((each) => each.isLookedAt));
    const isDue = isRevocable && this.isDue(requests, isOrdered && !isLookedAt);
    const asksRights = hasRights && (isRevocable ? isDue : visibility !== undefined);
    const isAsked = asksRights || isDue || isLookedAt || checks.some((each) => each.isAsked);
    return { requests, checks, isAsked, isLookedAt, isDue, asksRights };
  }

  /** Finds out what the events of such a request are asked. */
  prepare(record: SubscriptionRecord, request: SubscribingRequest): void {
    if (!this.#isUnasked(record)) this.#checksFor(record, request);
  }

  /** Whether events are for all: nothing can refuse one, or show it to some in another way. */
  #isUnasked({ observer: { revocations, hasRights, visibility } }: SubscriptionRecord): boolean {
    if (!this.compiled.isOpen || revocations.length > 0) return false;
    return !visibility || (!visibility.isLookedAt && !hasRights && !visibility.isFiltered(this.consumer));
  }

  isDue(requests: readonly SubscribingRequest[], isOrdered: boolean): boolean {
    if (!isOrdered) return true;
    const { clock, settings } = this.services;
    const now = clock.elapsed();
    return requests.some((request) => {
      const granted = this.#granted?.get(request);
      return !granted || now - granted.at >= settings.grantTimeLimit;
    });
  }

  /** Earlier answers hold no more. */
  forget(requests: readonly SubscribingRequest[]): void {
    for (const request of requests) this.#granted?.delete(request);
  }

  /** What has to be asked for one event. */
  questions(record: SubscriptionRecord, { requests, checks }: Pick<DeliveryPlan, 'requests' | 'checks'>): Question[] {
    return checks.flatMap((each, index) => {
      const request = requests[index];
      if (!request) return [];
      const { action, sent } = request;
      const { requestId } = record;
      const known = this.#granted?.get(request)?.answers;
      const context = new ActionContext({ scope: this.scope, action, requestId, kwargs: sent, isDelivery: true });
      const object = each.hasObject ? once(() => this.loadObject(context)) : undefined;
      return { ...each, request, context, answers: new Map(known), isKnown: known !== undefined, object };
    });
  }

  #questionsOf(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): readonly Question[] {
    return this.questions(record, { requests, checks: requests.map((request) => this.#checksFor(record, request)) });
  }

  /** Whether all that subscribed through these groups would be granted now, and their rows. Then its rights are asked anew too. */
  async recheck(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    const requests = requestsThrough(record, groups);
    if (!(await this.holds(record, requests)) || !(await this.#holdsForRows(record, requests))) return false;
    await this.askRights(record, requests);
    return true;
  }

  /** Whether these requests would be granted now. The answers are kept where `@RevokedBy` says how long they hold. */
  holds(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): Promise<boolean> {
    this.forget(requests);
    return isGranted(async () => {
      const at = this.services.clock.elapsed();
      await this.compiled.permissions.checkConnect(this.scope);
      for (const question of this.#questionsOf(record, requests)) {
        await this.#require(question);
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
  async #holdsForRows(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): Promise<boolean> {
    const { visibility } = record.observer;
    if (!visibility) return true;
    for (const question of this.#questionsOf(record, requests)) {
      const { request, context, judgesObjects } = question;
      if (!visibility.isNarrowed && !judgesObjects && !visibility.isFiltered(this.consumer)) continue;
      const row = await visibility.rowOf(this.consumer, request.kwargs, context);
      if (row === 'hidden' || (row && !(await this.maySee(question, row)))) return false;
    }
    return true;
  }

  /** Asks anew what the subscription may be shown. Until it is known, that is the least; after a failure the next event asks again. */
  async askRights(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): Promise<void> {
    for (const request of requests) request.rights = undefined;
    try {
      for (const { request, context } of this.#questionsOf(record, requests))
        request.rights = await rightsFor(record.observer, context);
    } catch (error) {
      this.forget(requests);
      throw error;
    }
  }

  /**
   * Whether the request would be granted this row now. Yes where the action itself is refused: that is no matter of the row,
   * and `mayReceive` refuses the event. What is said of the row is no answer to other questions: it may still be sent as a delete.
   */
  async maySee({ permissions, context, answers }: Question, row: object): Promise<boolean> {
    if (!(await isGranted(() => permissions.checkAction(context, answers)))) return true;
    return isGranted(() => permissions.checkObject(context, row, new Map(answers)));
  }

  /**
   * The first request through which an event comes that would not be granted now; none where it may be sent. An ApiError that a
   * permission throws is its refusal.
   *
   * @param asked takes what each permission answers
   */
  async refusing(
    questions: readonly Question[],
    event: Omit<Delivery, 'scope'>,
    asked: PermissionAnswer[] | undefined,
  ): Promise<Question | undefined> {
    const note = asked && ((answer: PermissionAnswer): void => void asked.push(answer));
    for (const question of questions)
      if (!(await this.#mayReceive(question, { scope: this.scope, ...event }, note))) return question;
    return undefined;
  }

  async #mayReceive(
    question: Question,
    delivery: Delivery,
    note?: (answer: PermissionAnswer) => void,
  ): Promise<boolean> {
    // A deleted row may be the object itself, and its event shows nothing but the key.
    const isGone = delivery.action === 'delete' && question.observer.model === this.compiled.model;
    const object = isGone ? undefined : question.object;
    try {
      // The query has an opinion too, also where no permission has one on objects.
      if (!question.isKnown && object) await object();
      return await question.permissions.mayReceive(delivery, { ...question, object }, note);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  /** The object of a detail action is loaded again. That of a subscription of a row is its row, which may be gone or hidden. */
  async #require({ observer, request, context, permissions, answers }: Question): Promise<void> {
    await permissions.checkAction(context, answers);
    if (observer.visibility || !this.compiled.actions.get(request.action)?.isDetail) return;
    await permissions.checkObject(context, await this.loadObject(context), answers);
  }

  #checksFor({ observer }: SubscriptionRecord, { action }: SubscribingRequest): Checks {
    const known = this.#checks.find((each) => each.observer === observer && each.action === action);
    if (known) return known;
    const { compiled, scope } = this;
    const definition = compiled.actions.get(action);
    // Where an application subscribes under a name of its own, the consumer's permissions decide.
    const permissions = definition?.permissions ?? compiled.permissions;
    const { events, deliveries, objects } = permissions.opinionsOn(scope);
    const { visibility, revocations } = observer;
    const hasObject = !visibility && definition?.isDetail === true && (compiled.isNarrowed || objects);
    const isAsked = events || (revocations.length === 0 && (deliveries || hasObject));
    const isLookedAt = visibility !== undefined && (visibility.isLookedAt || (!compiled.isOpen && objects));
    const checks = { observer, action, permissions, judgesObjects: objects, hasObject, isAsked, isLookedAt };
    this.#checks = this.#checks.concat(checks);
    return checks;
  }
}

/** Of events that are for all. */
const unasked: DeliveryPlan = {
  requests: [],
  checks: [],
  isAsked: false,
  isLookedAt: false,
  isDue: false,
  asksRights: false,
};

/** The requests through which something in these groups is heard. */
function requestsThrough({ requests }: SubscriptionRecord, groups: readonly string[]): readonly SubscribingRequest[] {
  return requests.filter((request) => request.groups.some((group) => groups.includes(group)));
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

/** What a subscription may be shown through these groups. Where several requests are concerned that differ in their rights, the least. */
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
