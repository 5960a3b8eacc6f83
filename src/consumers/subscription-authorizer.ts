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

/** The checks of an observer's events that one action has subscribed to. They are determined once per connection. */
interface Checks {
  readonly observer: Observer;
  readonly action: string;
  readonly permissions: PermissionChecker;
  /** Whether a permission judges the objects of such a request. */
  readonly judgesObjects: boolean;
  /** Whether a permission or the query judges the object that such a request named. */
  readonly hasObject: boolean;
  /** Whether each event is checked, whatever is known of the right. */
  readonly isAsked: boolean;
  /** Whether the event's row is judged, or is shown differently to each client. */
  readonly checksVisibility: boolean;
}

/** The way of one event to one subscription, determined at its turn. */
export interface DeliveryPlan {
  /** The requests through which the subscription receives the event. */
  readonly requests: readonly SubscribingRequest[];
  /** The checks of these requests, in their order. */
  readonly checks: readonly Checks[];
  /** Whether a permission or a query has to be asked. If not, the following members do not count. */
  readonly isAsked: boolean;
  readonly checksVisibility: boolean;
  /**
   * Whether this event has to ask again about a right that `@RevokedBy` watches: no answer is known, the answer is older than
   * `grantTimeLimit`, or the event may have overtaken the message that the right changed.
   */
  readonly isDue: boolean;
  /** Whether the rights to fields are asked for. */
  readonly asksRights: boolean;
}

/** A subscribing request that is asked again whether it would be allowed. */
export interface Question extends GrantingRequest, Checks {
  readonly request: SubscribingRequest;
  /** Whether the answers come from an earlier question, and stay valid until a `@RevokedBy` rule reports a change. */
  readonly isKnown: boolean;
}

/** The latest answers on a request. */
interface Granted {
  /** When they were given, by `Clock.elapsed`. */
  readonly at: number;
  readonly answers: Answers;
}

/** The session whose subscriptions are asked about. */
export interface AuthorizedSession {
  readonly compiled: CompiledConsumer;
  readonly instance: object;
  readonly scope: Scope;
  readonly services: {
    readonly clock: Clock;
    readonly settings: Pick<Settings, 'grantTimeLimit'>;
  };
  /**
   * Loads the object that a request names.
   *
   * @throws NotFound
   */
  loadObject(context: ActionContext): Promise<object>;
}

/**
 * Asks again what a subscription was granted by: the permissions of the consumer and of the subscribing action, with the kept kwargs, and
 * for its object. If `@RevokedBy` declares what the right depends on, an answer stays valid until that changes, at most for
 * `grantTimeLimit`; otherwise it is valid for one event.
 */
export class SubscriptionAuthorizer {
  /** A list, because a consumer has few of them and a process has many such lists. */
  #checks: readonly Checks[] = [];
  #granted: WeakMap<SubscribingRequest, Granted> | undefined;

  constructor(private readonly session: AuthorizedSession) {}

  /**
   * Plans the delivery of an event. If `@RevokedBy` declares what the right depends on, the rights to fields are asked together with the
   * permissions. Without it, a subscription to a row shows what `retrieve` would show now, and other subscriptions keep the rights that
   * they began with.
   *
   * @param isOrdered whether the message that a commit changed the right came before everything that was written since: not if a signal was
   * sent outside of any transaction, nor if the row is read again, because it may be newer
   */
  planFor(record: SubscriptionRecord, groups: readonly string[], isOrdered: boolean): DeliveryPlan {
    const { revocations, hasRights, visibility } = record.observer;
    const isRevocable = revocations.length > 0;
    if (this.#isUnasked(record)) return unasked;
    const requests = requestsThrough(record, groups);
    const checks = requests.map((request) => this.#checksFor(record, request));
    const checksVisibility =
      visibility !== undefined &&
      (visibility.isAlwaysChecked ||
        visibility.isFiltered(this.session.instance) ||
        checks.some((each) => each.checksVisibility));
    const isDue = isRevocable && this.isDue(requests, isOrdered && !checksVisibility);
    const asksRights = hasRights && (isRevocable ? isDue : visibility !== undefined);
    const isAsked = asksRights || isDue || checksVisibility || checks.some((each) => each.isAsked);
    return { requests, checks, isAsked, checksVisibility, isDue, asksRights };
  }

  /** Determines the checks for the events of such a request. */
  prepare(record: SubscriptionRecord, request: SubscribingRequest): void {
    if (!this.#isUnasked(record)) this.#checksFor(record, request);
  }

  /** Whether every subscription receives the events unchanged: no check can refuse one, or show it differently to some. */
  #isUnasked({ observer: { revocations, hasRights, visibility } }: SubscriptionRecord): boolean {
    if (!this.session.compiled.isOpen || revocations.length > 0) return false;
    return !visibility || (!visibility.isAlwaysChecked && !hasRights && !visibility.isFiltered(this.session.instance));
  }

  isDue(requests: readonly SubscribingRequest[], isOrdered: boolean): boolean {
    if (!isOrdered) return true;
    const { clock, settings } = this.session.services;
    const now = clock.elapsed();
    return requests.some((request) => {
      const granted = this.#granted?.get(request);
      return !granted || now - granted.at >= settings.grantTimeLimit;
    });
  }

  /** Forgets earlier answers. */
  forget(requests: readonly SubscribingRequest[]): void {
    for (const request of requests) this.#granted?.delete(request);
  }

  /** The questions for one event. */
  questions(record: SubscriptionRecord, { requests, checks }: Pick<DeliveryPlan, 'requests' | 'checks'>): Question[] {
    return checks.flatMap((each, index) => {
      const request = requests[index];
      if (!request) return [];
      const { action, sent } = request;
      const { requestId } = record;
      const known = this.#granted?.get(request)?.answers;
      const context = new ActionContext({
        scope: this.session.scope,
        action,
        requestId,
        kwargs: sent,
        isDelivery: true,
      });
      const object = each.hasObject ? once(() => this.session.loadObject(context)) : undefined;
      return { ...each, request, context, answers: new Map(known), isKnown: known !== undefined, object };
    });
  }

  #questionsOf(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): readonly Question[] {
    return this.questions(record, { requests, checks: requests.map((request) => this.#checksFor(record, request)) });
  }

  /**
   * Whether everything that was subscribed through these groups would be allowed now, with its rows. If so, its rights are asked again too.
   */
  async recheck(record: SubscriptionRecord, groups: readonly string[]): Promise<boolean> {
    const requests = requestsThrough(record, groups);
    if (!(await this.holds(record, requests)) || !(await this.#holdsForRows(record, requests))) return false;
    await this.askRights(record, requests);
    return true;
  }

  /** Whether these requests would be allowed now. The answers are kept if `@RevokedBy` defines how long they stay valid. */
  holds(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): Promise<boolean> {
    this.forget(requests);
    return isGranted(async () => {
      const at = this.session.services.clock.elapsed();
      await this.session.compiled.permissions.checkConnect(this.session.scope);
      for (const question of this.#questionsOf(record, requests)) {
        await this.#require(question);
        if (record.observer.revocations.length === 0) continue;
        this.#granted ??= new WeakMap();
        this.#granted.set(question.request, { at, answers: question.answers });
      }
    });
  }

  /**
   * Whether their rows would be allowed too: not an existing row that the query does not return. A missing row does not concern rights, and
   * has an event of its own.
   */
  async #holdsForRows(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): Promise<boolean> {
    const { visibility } = record.observer;
    if (!visibility) return true;
    for (const question of this.#questionsOf(record, requests)) {
      const { request, context, judgesObjects } = question;
      if (!visibility.isNarrowed && !judgesObjects && !visibility.isFiltered(this.session.instance)) continue;
      const row = await visibility.rowOf(this.session.instance, request.kwargs, context);
      if (row === 'hidden' || (row && !(await this.maySee(question, row)))) return false;
    }
    return true;
  }

  /** Asks again for the subscription's rights. Until the answer it has none; after a failure the next event asks again. */
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
   * Whether the request would be allowed to see this row now. True if the action itself is refused, because that does not concern the row,
   * and `mayReceive` refuses the event. The answer on the row is not used for other questions, because the row may still be sent as a
   * delete.
   */
  async maySee({ permissions, context, answers }: Question, row: object): Promise<boolean> {
    if (!(await isGranted(() => permissions.checkAction(context, answers)))) return true;
    return isGranted(() => permissions.checkObject(context, row, new Map(answers)));
  }

  /**
   * The first request of an event that would not be allowed now; undefined if the event may be sent. An ApiError that a permission throws
   * is its refusal.
   *
   * @param asked collects each permission's answer
   */
  async refusing(
    questions: readonly Question[],
    event: Omit<Delivery, 'scope'>,
    asked: PermissionAnswer[] | undefined,
  ): Promise<Question | undefined> {
    const note = asked && ((answer: PermissionAnswer): void => void asked.push(answer));
    for (const question of questions)
      if (!(await this.#mayReceive(question, { scope: this.session.scope, ...event }, note))) return question;
    return undefined;
  }

  async #mayReceive(
    question: Question,
    delivery: Delivery,
    note?: (answer: PermissionAnswer) => void,
  ): Promise<boolean> {
    // A deleted row may be the object itself, and its event shows only the key.
    const isGone = delivery.action === 'delete' && question.observer.model === this.session.compiled.model;
    const object = isGone ? undefined : question.object;
    try {
      // The query judges the object too, even if no permission judges objects.
      if (!question.isKnown && object) await object();
      return await question.permissions.mayReceive(delivery, { ...question, object }, note);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return false;
    }
  }

  /** Loads the object of a detail action again. For a subscription to a row, it is that row, which may be gone or hidden. */
  async #require({ observer, request, context, permissions, answers }: Question): Promise<void> {
    await permissions.checkAction(context, answers);
    if (observer.visibility || !this.session.compiled.actions.get(request.action)?.isDetail) return;
    await permissions.checkObject(context, await this.session.loadObject(context), answers);
  }

  #checksFor({ observer }: SubscriptionRecord, { action }: SubscribingRequest): Checks {
    const known = this.#checks.find((each) => each.observer === observer && each.action === action);
    if (known) return known;
    const { compiled, scope } = this.session;
    const definition = compiled.actions.get(action);
    // If an application subscribes under a name of its own, the consumer's permissions decide.
    const permissions = definition?.permissions ?? compiled.permissions;
    const { events, deliveries, objects } = permissions.opinionsOn(scope);
    const { visibility, revocations } = observer;
    const hasObject = !visibility && definition?.isDetail === true && (compiled.isNarrowed || objects);
    const isAsked = events || (revocations.length === 0 && (deliveries || hasObject));
    const checksVisibility = visibility !== undefined && (visibility.isAlwaysChecked || (!compiled.isOpen && objects));
    const checks = { observer, action, permissions, judgesObjects: objects, hasObject, isAsked, checksVisibility };
    this.#checks = this.#checks.concat(checks);
    return checks;
  }
}

/** The plan for events that every subscription receives unchanged. */
const unasked: DeliveryPlan = {
  requests: [],
  checks: [],
  isAsked: false,
  checksVisibility: false,
  isDue: false,
  asksRights: false,
};

/** The requests that subscribed to any of these groups. */
function requestsThrough({ requests }: SubscriptionRecord, groups: readonly string[]): readonly SubscribingRequest[] {
  return requests.filter((request) => request.groups.some((group) => groups.includes(group)));
}

/** Loads at the first call, and returns the same object afterwards. */
function once(load: () => Promise<object>): () => Promise<object> {
  let loaded: Promise<object> | undefined;
  return () => {
    loaded ??= load();
    return loaded;
  };
}

/** A request's rights to an observer's fields, asked again, whatever was answered before. */
export async function rightsFor({ serializer }: Observer, request: ActionContext): Promise<GivenRights | undefined> {
  if (!serializer || rightsIn(serializer).size === 0) return undefined;
  const { container } = request.scope;
  return askRights(serializer, {
    request: new ActionContext(request),
    resolve: (provider) => container.resolve(provider),
  });
}

/** The rights of a subscription through these groups: the fewest, if several requests with different rights are concerned. */
export function rightsThrough(record: SubscriptionRecord, groups: readonly string[]): GivenRights | undefined {
  const { serializer } = record.observer;
  const [first, ...others] = requestsThrough(record, groups);
  if (!serializer || !first) return undefined;
  const key = rightsKey(serializer, first.rights);
  return others.every(({ rights }) => rightsKey(serializer, rights) === key) ? first.rights : undefined;
}

/** @throws errors that are no refusal: then nothing is known */
async function isGranted(ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask();
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return false;
  }
}

/** Whether an error is a refusal: any error that is the client's. A limit or a failure of the server is none. */
export function isRefusal(error: unknown): boolean {
  return (
    safeInstanceof(error, ApiError) && error.status < Status.serverError && error.status !== Status.tooManyRequests
  );
}
