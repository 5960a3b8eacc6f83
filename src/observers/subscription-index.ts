import type { Observer } from './observer.js';
import type { SubscriptionRecord } from './subscriptions.js';

interface Group {
  readonly records: Set<SubscriptionRecord>;
  /** The same, as long as no subscription joins or leaves. */
  list: readonly SubscriptionRecord[] | undefined;
}

const none: readonly SubscriptionRecord[] = [];

/** Which subscriptions of this process are in which groups. The name of a group begins with its observer's. */
export class SubscriptionIndex {
  readonly #groups = new Map<string, Group>();
  readonly #counts = new Map<Observer, number>();

  add(group: string, record: SubscriptionRecord): void {
    const found = this.#groups.get(group) ?? { records: new Set(), list: undefined };
    if (found.records.has(record)) return;
    found.records.add(record);
    found.list = undefined;
    this.#groups.set(group, found);
    this.#counts.set(record.observer, (this.#counts.get(record.observer) ?? 0) + 1);
  }

  discard(group: string, record: SubscriptionRecord): void {
    const found = this.#groups.get(group);
    if (!found?.records.delete(record)) return;
    found.list = undefined;
    if (found.records.size === 0) this.#groups.delete(group);
    const left = (this.#counts.get(record.observer) ?? 1) - 1;
    if (left === 0) this.#counts.delete(record.observer);
    else this.#counts.set(record.observer, left);
  }

  /** Whether a subscription to the observer's events is in any group. */
  isHeard(observer: Observer): boolean {
    return this.#counts.has(observer);
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  /** The subscriptions in one of these groups, each once; the same list for the same group until one joins or leaves. */
  audience(groups: readonly string[]): readonly SubscriptionRecord[] {
    const [first, ...others] = [...new Set(groups)].flatMap((group) => this.#groups.get(group) ?? []);
    if (!first) return none;
    first.list ??= [...first.records];
    if (others.length === 0) return first.list;
    return [...new Set([first, ...others].flatMap(({ records }) => [...records]))];
  }

  /** The groups that hold a subscription; specs of leaks ask for them. */
  get groupCount(): number {
    return this.#groups.size;
  }
}
