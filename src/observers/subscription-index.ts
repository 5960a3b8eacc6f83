import type { GivenRights } from '../permissions/rights.js';
import type { ObserverMessage } from './event-message.js';
import type { Observer } from './observer.js';

/** The parts of a subscribing request that its permissions need to be asked again. */
export interface SubscribingRequest {
  readonly action: string;
  /** The sent kwargs whose names the action or the subscription knows. */
  readonly sent: Readonly<Record<string, unknown>>;
  /** The kwargs that its action subscribed with. */
  readonly kwargs: unknown;
  readonly groups: readonly string[];
  /** A text that is equal for requests that ask for the same. */
  readonly key: string;
  /** Bytes of heap that it takes while its subscription lasts: an estimate that is not too low. */
  readonly bytes: number;
  /** The rights of the client; undefined, which means none, until they are known. */
  rights: GivenRights | undefined;
}

/** The consumer of a subscribed client. */
export interface SubscriptionReceiver {
  /** Takes one message for one subscription. Never throws. */
  receive(message: ObserverMessage, record: SubscriptionRecord): void;
}

/** A subscription: one request id of a consumer for one observer. */
export interface SubscriptionRecord {
  readonly receiver: SubscriptionReceiver;
  readonly observer: Observer;
  readonly requestId: string | number;
  readonly kwargs: unknown;
  groups: readonly string[];
  /** The read of the change log after which its events begin; Infinity until that is known. Earlier commits are not its events. */
  since: number;
  /** Like `since`, for groups that a later request with its id has added. */
  later?: Map<string, number>;
  isEnded: boolean;
  /** The requests whose groups it listens to: several if a client reused its request id. */
  requests: readonly SubscribingRequest[];
}

interface Group {
  readonly records: Set<SubscriptionRecord>;
  /** The list of its subscriptions, kept until one joins or leaves. */
  list: readonly SubscriptionRecord[] | undefined;
}

const none: readonly never[] = [];

/** Which subscriptions of this process are in which groups. The name of a group begins with its observer's. */
export class SubscriptionIndex {
  readonly #groups = new Map<string, Group>();
  readonly #counts = new Map<Observer, number>();
  /** The groups of observers that check their rows for each group. */
  readonly #judged = new Map<Observer, Set<string>>();
  /** The groups that have a subscription. */
  readonly groups: ReadonlyMap<string, unknown> = this.#groups;
  /** The observers that have a subscription, with the number of them. */
  readonly heard: ReadonlyMap<Observer, number> = this.#counts;

  add(group: string, record: SubscriptionRecord): void {
    const found = this.#groups.get(group) ?? { records: new Set(), list: undefined };
    if (found.records.has(record)) return;
    found.records.add(record);
    found.list = undefined;
    this.#groups.set(group, found);
    if (record.observer.lets) this.#judgedBy(record.observer).add(group);
    this.#counts.set(record.observer, (this.#counts.get(record.observer) ?? 0) + 1);
  }

  discard(group: string, record: SubscriptionRecord): void {
    const found = this.#groups.get(group);
    if (!found?.records.delete(record)) return;
    found.list = undefined;
    if (found.records.size === 0) {
      this.#groups.delete(group);
      this.#judged.get(record.observer)?.delete(group);
    }
    const left = (this.#counts.get(record.observer) ?? 1) - 1;
    if (left === 0) this.#counts.delete(record.observer);
    else this.#counts.set(record.observer, left);
  }

  /** The groups of an observer's subscriptions, for an observer that checks its rows for each group. */
  groupsOf(observer: Observer): readonly string[] {
    return [...(this.#judged.get(observer) ?? none)];
  }

  /** The kwargs of the subscriptions in a group, if the group determines them: then all of them have the same. */
  kwargsOf(group: string): unknown {
    for (const { requests } of this.#groups.get(group)?.records ?? [])
      for (const request of requests) if (request.groups.includes(group)) return request.kwargs;
    return undefined;
  }

  #judgedBy(observer: Observer): Set<string> {
    const groups = this.#judged.get(observer) ?? new Set();
    this.#judged.set(observer, groups);
    return groups;
  }

  /**
   * The subscriptions in any of these groups, each once. A single group gives the same list until a subscription joins or leaves.
   *
   * @param groups each of them once
   */
  audience(groups: readonly string[]): readonly SubscriptionRecord[] {
    const [first, ...others] = groups.flatMap((group) => this.#groups.get(group) ?? []);
    if (!first) return none;
    first.list ??= [...first.records];
    if (others.length === 0) return first.list;
    return [...new Set([first, ...others].flatMap(({ records }) => [...records]))];
  }
}
