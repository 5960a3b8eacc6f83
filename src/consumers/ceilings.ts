import type { Counters } from '../counters.js';
import { Throttled } from '../errors.js';
import type { Limits } from '../limits.js';

/** What one consumer of a connection holds. */
export interface Holding {
  readonly requests: { readonly waiting: number; readonly detached: number; readonly abandoned: number };
  readonly subscriptions: { readonly size: number };
  readonly groups: { readonly size: number };
}

export interface CeilingParts {
  readonly settings: { readonly limits: Limits };
  readonly counters: Counters;
}

/** How long a client is asked to wait until one of its requests may have ended. */
const soon = 1_000;

/**
 * How much the consumers of one connection may hold together. It is counted when somebody asks for more, and in no book of
 * its own, which could go out of step with theirs.
 */
export class Ceilings {
  readonly limits: Limits;
  readonly #counters: Counters;
  #holdings: readonly Holding[] = [];
  #waitingElsewhere = (): number => 0;

  constructor({ settings, counters }: CeilingParts) {
    this.limits = settings.limits;
    this.#counters = counters;
  }

  add(holding: Holding): void {
    this.#holdings = this.#holdings.concat(holding);
  }

  /** One that gets nothing any more. */
  remove(holding: Holding): void {
    this.#holdings = this.#holdings.filter((other) => other !== holding);
  }

  /** Requests that wait before they have reached a consumer count as well. */
  addWaiting(count: () => number): void {
    this.#waitingElsewhere = count;
  }

  /** @throws Throttled */
  requireRequest(isDetached: boolean): void {
    this.#requireAbandonedToEnd();
    const { detachedActions, waitingRequests } = this.limits;
    if (isDetached && this.#sum(({ requests }) => requests.detached) >= detachedActions)
      this.#refuse('detached_actions', `There may be ${detachedActions} detached actions under way.`, soon);
    if (!isDetached && this.#sum(({ requests }) => requests.waiting) + this.#waitingElsewhere() >= waitingRequests)
      this.#refuse('waiting_requests', `There may be ${waitingRequests} requests waiting.`, soon);
  }

  /** Else whoever cancels what it asked for could have any number of actions run. */
  #requireAbandonedToEnd(): void {
    const { detachedActions } = this.limits;
    if (this.#sum(({ requests }) => requests.abandoned) >= detachedActions)
      this.#refuse('detached_actions', `${detachedActions} cancelled actions still run.`, soon);
  }

  /** @throws Throttled without a time to try again: only the client can make room */
  requireSubscription(): void {
    const { subscriptions } = this.limits;
    if (this.#sum((holding) => holding.subscriptions.size) >= subscriptions)
      this.#refuse('subscriptions', `A connection may have ${subscriptions} subscriptions.`);
  }

  /** @throws Throttled, likewise */
  requireGroups(added: number): void {
    const { groups } = this.limits;
    if (this.#sum((holding) => holding.groups.size) + added > groups)
      this.#refuse('groups', `A connection may be in ${groups} groups.`);
  }

  /** @param waiting events and messages for one consumer. @returns whether one more may wait */
  hasRoomForEvent(waiting: number): boolean {
    if (waiting < this.limits.waitingEvents) return true;
    this.#counters.increment('signalbox.limits_reached', { limit: 'waiting_events' });
    return false;
  }

  #sum(count: (holding: Holding) => number): number {
    return this.#holdings.reduce((sum, holding) => sum + count(holding), 0);
  }

  #refuse(limit: string, text: string, retryAfter?: number): never {
    this.#counters.increment('signalbox.limits_reached', { limit });
    throw new Throttled(text, retryAfter === undefined ? {} : { retryAfter });
  }
}
