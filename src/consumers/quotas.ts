import { Throttled } from '../errors.js';
import type { SubscriptionCounts } from '../observers/subscriptions.js';
import type { Limits } from '../settings.js';
import type { Counters } from '../telemetry.js';

/** What one consumer of the connection holds; the groups are those of its subscriptions and of its channel. */
export interface Holdings extends SubscriptionCounts {
  /** Heap of the texts of the events and messages that wait: an estimate that is not too low. */
  waitingBytes: number;
}

/** Suggested delay in milliseconds until one of the client's requests may have ended. */
const retryDelay = 1_000;

/** What one connection holds, all its streams together, and how much of it there may be. */
export class Quotas {
  /** Requests and other frames that wait for those before them. */
  waiting = 0;
  /** Heap of what came from the client and is not settled: an estimate that is not too low. */
  requestBytes = 0;
  /** Detached requests that are not settled. */
  detached = 0;
  /** Requests that were answered by an abort and still run: detached ones, and others. */
  abandonedDetached = 0;
  abandoned = 0;
  /** The quotas of the consumers that are not closed. */
  readonly holdings = new Set<Holdings>();

  constructor(
    readonly limits: Limits,
    private readonly counters: Counters,
  ) {}

  /**
   * @param bytes of heap that it takes. A request that no other one is beside may take any number
   * @throws Throttled where there is no room for one more request
   */
  requireRequest(isDetached: boolean, bytes = 0): void {
    const { detachedActions, waitingRequests, requestBytes } = this.limits;
    const limit = this.limitOfRequests(isDetached, bytes);
    if (limit === 'cancelled')
      this.#refuse('detached_actions', `${detachedActions} cancelled actions still run.`, retryDelay);
    if (limit === 'detached_actions')
      this.#refuse(limit, `There may be ${detachedActions} detached actions under way.`, retryDelay);
    if (limit === 'waiting_requests')
      this.#refuse(limit, `There may be ${waitingRequests} requests waiting.`, retryDelay);
    if (limit === 'request_bytes')
      this.#refuse(limit, `Requests that wait or run may take ${requestBytes} bytes.`, retryDelay);
  }

  /** The limit that one more request is above, if it is. */
  limitOfRequests(
    isDetached: boolean,
    bytes: number,
  ): 'cancelled' | 'detached_actions' | 'waiting_requests' | 'request_bytes' | undefined {
    const { detachedActions, waitingRequests, requestBytes } = this.limits;
    // Cancelled actions may keep running; they count, or cancelling would bypass the limit.
    if (this.abandoned + this.abandonedDetached >= detachedActions) return 'cancelled';
    if (isDetached && this.detached + this.abandoned >= detachedActions) return 'detached_actions';
    if (!isDetached && this.waiting >= waitingRequests) return 'waiting_requests';
    return this.requestBytes > 0 && this.requestBytes + bytes > requestBytes ? 'request_bytes' : undefined;
  }

  /**
   * @param bytes of heap that it takes
   * @throws Throttled without a time to try again: only the client can make room
   */
  requireSubscription(bytes: number): void {
    const { subscriptions, subscriptionBytes } = this.limits;
    let count = 1;
    let taken = bytes;
    for (const holding of this.holdings) {
      count += holding.subscriptions;
      taken += holding.bytes;
    }
    if (count > subscriptions) this.#refuse('subscriptions', `A connection may have ${subscriptions} subscriptions.`);
    if (taken > subscriptionBytes)
      this.#refuse('subscription_bytes', `The subscriptions of a connection may take ${subscriptionBytes} bytes.`);
  }

  /** @throws Throttled without a time to try again: only the client can make room */
  requireGroups(added: number): void {
    const { groups } = this.limits;
    let held = added;
    for (const holding of this.holdings) held += holding.groups;
    if (held > groups) this.#refuse('groups', `A connection may be in ${groups} groups.`);
  }

  /**
   * The limit that one more event or message for a consumer is above, if it is.
   *
   * @param count of those that wait for this consumer
   * @param added heap of the text of one more. One that no other one is beside may take any number
   */
  limitOfEvents(count: number, added: number): number | undefined {
    const { waitingEvents, waitingEventBytes } = this.limits;
    if (count >= waitingEvents) {
      this.#count('waiting_events');
      return waitingEvents;
    }
    let bytes = 0;
    for (const holding of this.holdings) bytes += holding.waitingBytes;
    if (bytes === 0 || bytes + added <= waitingEventBytes) return undefined;
    this.#count('waiting_event_bytes');
    return waitingEventBytes;
  }

  #count(limit: string): void {
    this.counters.increment('signalbox.limits_reached', { limit });
  }

  #refuse(limit: string, text: string, retryAfter?: number): never {
    this.#count(limit);
    throw new Throttled(text, retryAfter === undefined ? {} : { retryAfter });
  }
}
