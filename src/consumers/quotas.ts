import { Throttled } from '../errors.js';
import type { SubscriptionCounts } from '../observers/subscriptions.js';
import type { Limits } from '../settings.js';
import type { Counters } from '../telemetry.js';

/** The holdings of one consumer of the connection; the groups are those of its subscriptions and of its channel. */
export interface Holdings extends SubscriptionCounts {
  /** Bytes of heap of the texts of waiting events and messages: an estimate that is not too low. */
  waitingBytes: number;
}

/** Suggested delay in milliseconds until one of the client's requests may have ended. */
const retryDelay = 1_000;

/** The holdings of one connection, over all its streams, and their limits. */
export class Quotas {
  /** The number of requests and other frames that wait for earlier ones. */
  waiting = 0;
  /** Bytes of heap of the client's requests that are not settled: an estimate that is not too low. */
  requestBytes = 0;
  /** The number of detached requests that are not settled. */
  detached = 0;
  /** The numbers of aborted requests that still run: detached ones, and others. */
  abandonedDetached = 0;
  abandoned = 0;
  /** The holdings of the consumers that are not closed. A list, because a connection has few consumers. */
  #holdings: readonly Holdings[] = [];

  constructor(
    readonly limits: Limits,
    private readonly counters: Counters,
  ) {}

  add(holdings: Holdings): void {
    this.#holdings = this.#holdings.concat(holdings);
  }

  remove(holdings: Holdings): void {
    this.#holdings = this.#holdings.filter((other) => other !== holdings);
  }

  /**
   * @param bytes of heap that it takes. A single request may take any number
   * @throws Throttled if there is no room for one more request
   */
  requireRequest(isDetached: boolean, bytes = 0): void {
    const { detachedActions, waitingRequests, requestBytes } = this.limits;
    const limit = this.limitOfRequests(isDetached, bytes);
    if (limit === 'cancelled')
      this.#refuse('detached_actions', `${detachedActions} cancelled actions still run.`, retryDelay);
    if (limit === 'detached_actions')
      this.#refuse(limit, `At most ${detachedActions} detached actions may run.`, retryDelay);
    if (limit === 'waiting_requests') this.#refuse(limit, `At most ${waitingRequests} requests may wait.`, retryDelay);
    if (limit === 'request_bytes')
      this.#refuse(limit, `Waiting and running requests may take at most ${requestBytes} bytes.`, retryDelay);
  }

  /** The limit that one more request would exceed; undefined if none. */
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
   * @throws Throttled without a retry time: only the client can make room
   */
  requireSubscription(bytes: number): void {
    const { subscriptions, subscriptionBytes } = this.limits;
    let count = 1;
    let taken = bytes;
    for (const holding of this.#holdings) {
      count += holding.subscriptions;
      taken += holding.bytes;
    }
    if (count > subscriptions)
      this.#refuse('subscriptions', `A connection may have at most ${subscriptions} subscriptions.`);
    if (taken > subscriptionBytes)
      this.#refuse(
        'subscription_bytes',
        `The subscriptions of a connection may take at most ${subscriptionBytes} bytes.`,
      );
  }

  /** @throws Throttled without a retry time: only the client can make room */
  requireGroups(added: number): void {
    const { groups } = this.limits;
    let held = added;
    for (const holding of this.#holdings) held += holding.groups;
    if (held > groups) this.#refuse('groups', `A connection may be in at most ${groups} groups.`);
  }

  /**
   * The limit that one more event or message for a consumer would exceed; undefined if none.
   *
   * @param count of waiting events and messages of this consumer
   * @param added bytes of heap of the new text. A single text may take any number
   */
  limitOfEvents(count: number, added: number): number | undefined {
    const { waitingEvents, waitingEventBytes } = this.limits;
    if (count >= waitingEvents) {
      this.#count('waiting_events');
      return waitingEvents;
    }
    let bytes = 0;
    for (const holding of this.#holdings) bytes += holding.waitingBytes;
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
