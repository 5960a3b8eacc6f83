import type { GivenRights } from '../permissions/rights.js';
import type { ObserverMessage } from './event-message.js';
import type { Observer } from './observer.js';

/** A request that subscribed: as much of it as its permissions need to be asked again. */
export interface SubscribingRequest {
  readonly action: string;
  /** What the client sent under the names that the action or the subscription knows. */
  readonly sent: Readonly<Record<string, unknown>>;
  /** What its action subscribed with. */
  readonly kwargs: unknown;
  readonly groups: readonly string[];
  /** The text is equal for requests that ask for the same. */
  readonly key: string;
  /** Heap that it takes for as long as its subscription lasts: an estimate that is not too low. */
  readonly bytes: number;
  /** What it may be shown; until that is known, the least. */
  rights: GivenRights | undefined;
}

/** The consumer whose client has subscribed. */
export interface SubscriptionReceiver {
  /** Takes one message for one subscription. Never throws. */
  receive(message: ObserverMessage, record: SubscriptionRecord): void;
}

/** One request id of this consumer to hear of changes. */
export interface SubscriptionRecord {
  readonly receiver: SubscriptionReceiver;
  readonly observer: Observer;
  readonly requestId: string | number;
  readonly kwargs: unknown;
  groups: readonly string[];
  /** The read of the change log that it begins behind; Infinity until that is known. What was committed before is none of its events. */
  since: number;
  /** As above, for groups that a later request of its id has added. */
  later?: Map<string, number>;
  isEnded: boolean;
  /** The requests whose groups it listens to: several where a client used its request id again. */
  requests: readonly SubscribingRequest[];
}

interface Group {
  readonly records: Set<SubscriptionRecord>;
  /** The same, as long as no subscription joins or leaves. */
  list: readonly SubscriptionRecord[] | undefined;
}

const none: readonly never[] = [];

/** Which subscriptions of this process are in which groups. The name of a group begins with its observer's. */
export class SubscriptionIndex {
  readonly #groups = new Map<string, Group>();
  readonly #counts = new Map<Observer, number>();
  /** The subscriptions of observers whose rows are judged for each group. */
  readonly #judged = new Map<Observer, Set<string>>();
  /** The groups that hold a subscription. */
  readonly groups: ReadonlyMap<string, unknown> = this.#groups;
  /** The observers whose events a subscription listens to. */
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

  /** The groups that subscriptions to an observer listen to whose rows are judged for each group. */
  groupsOf(observer: Observer): readonly string[] {
    return [...(this.#judged.get(observer) ?? none)];
  }

  /** What the subscriptions in a group ask for, where the group says it: it is the same for all of them. */
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
   * The subscriptions in one of these groups, each once; the same list for the same group until one joins or leaves.
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
