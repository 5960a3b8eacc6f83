import type { Membership } from '../channel-layer/membership.js';
import { ParseError } from '../errors.js';
import type { GivenRights } from '../permissions/rights.js';
import { encodeData } from '../wire/codec.js';
import type { RequestId } from '../wire/messages.js';
import type { Observer } from './observer.js';

/** A request that subscribed: as much of it as its permissions need to be asked again. */
export interface SubscribingRequest {
  readonly action: string;
  /** What the client sent. */
  readonly sent: Readonly<Record<string, unknown>>;
  /** What its action subscribed with. */
  readonly kwargs: unknown;
  readonly groups: readonly string[];
  /** What it may be shown; until that is known, the least. */
  rights: GivenRights | undefined;
}

/** One request id of this consumer to hear of changes. */
export interface SubscriptionRecord {
  readonly observer: Observer;
  readonly requestId: string | number;
  readonly kwargs: unknown;
  groups: readonly string[];
  /** The last commit of this process that came before it. */
  readonly since: number;
  /** Those whose groups it listens to: several where a client used its request id again. */
  requests: readonly SubscribingRequest[];
}

/**
 * Which requests of one consumer asked for which groups: the only book on it. A request id names one subscription per
 * observer, however often it is asked for; two ids are two subscriptions, even for the same row.
 */
export class Subscriptions {
  /** A list: there are few, and in a process there are many such lists. */
  #records: readonly SubscriptionRecord[] = [];

  /** @param count where the number of subscriptions is kept */
  constructor(
    private readonly membership: Membership,
    private readonly count: { subscriptions: number } = { subscriptions: 0 },
  ) {}

  get all(): readonly SubscriptionRecord[] {
    return this.#records;
  }

  /** `1` and `"1"` are two request ids. */
  find(observer: Observer, requestId: RequestId): SubscriptionRecord | undefined {
    return this.#records.find((record) => record.observer === observer && record.requestId === requestId);
  }

  /**
   * A new subscription. It listens to nothing yet.
   *
   * @throws ParseError without a request id: its events could not say what they answer
   */
  open(observer: Observer, requestId: RequestId, kwargs: unknown, since = 0): SubscriptionRecord {
    if (requestId === null) throw new ParseError('A subscription needs a request_id.');
    const record: SubscriptionRecord = { observer, requestId, kwargs, groups: [], since, requests: [] };
    this.#records = this.#records.concat(record);
    this.count.subscriptions += 1;
    return record;
  }

  /** One like a request that is noted already is that one. @returns it, and what takes it back where it is new */
  note(
    record: SubscriptionRecord,
    request: SubscribingRequest,
  ): { readonly noted: SubscribingRequest; takeBack(): void } {
    const known = record.requests.find((other) => textOf(other) === textOf(request));
    if (known) return { noted: known, takeBack: () => {} };
    record.requests = record.requests.concat(request);
    const takeBack = (): void => {
      record.requests = record.requests.filter((other) => other !== request);
    };
    return { noted: request, takeBack };
  }

  async listen(record: SubscriptionRecord, groups: readonly string[]): Promise<void> {
    const added = without(groups, record.groups);
    // All of them noted before the first is waited for: a subscription that ends meanwhile leaves every one.
    record.groups = record.groups.length === 0 ? added : record.groups.concat(added);
    await Promise.all(added.map((group) => this.membership.add(group, record)));
  }

  /** Takes these groups out of one subscription; without any group left it has ended. */
  async leave(record: SubscriptionRecord, groups: readonly string[]): Promise<void> {
    const left = without(record.groups, groups);
    const held = without(record.groups, left);
    record.groups = left;
    record.requests = record.requests.filter((request) => request.groups.some((group) => left.includes(group)));
    if (left.length === 0) this.#remove(record);
    // One that cannot be left must not keep it in the others.
    await Promise.all(held.map((group) => this.membership.discard(group, record)));
  }

  /** Ends the one subscription of an observer and a request id, with all its groups. */
  async removeRequest(observer: Observer, requestId: string | number): Promise<void> {
    const record = this.find(observer, requestId);
    if (record) await this.leave(record, record.groups);
  }

  /** Ends all of them, at once for those who ask. @returns their request ids, and what resolves once their groups are left */
  endAll(): { readonly requestIds: ReadonlySet<string | number>; readonly left: Promise<unknown> } {
    const ended = this.#records;
    const left = Promise.all(ended.map((record) => this.leave(record, record.groups)));
    return { requestIds: new Set(ended.map(({ requestId }) => requestId)), left };
  }

  /** Ends all that a request id asked for, at once for those who ask. */
  async end(requestId: string | number): Promise<void> {
    const ended = this.#records.filter((record) => record.requestId === requestId);
    await Promise.all(ended.map((record) => this.leave(record, record.groups)));
  }

  /** Takes these groups out of all subscriptions of an observer. */
  async removeGroups(observer: Observer, groups: readonly string[]): Promise<void> {
    for (const record of this.of(observer)) await this.leave(record, groups);
  }

  of(observer: Observer): readonly SubscriptionRecord[] {
    return this.#records.filter((record) => record.observer === observer);
  }

  /** Those of an observer that may hear of a change in these groups: no fewer, and not many more. */
  near(observer: Observer, groups: readonly string[]): readonly SubscriptionRecord[] {
    const [group] = groups;
    if (group === undefined || groups.some((other) => other !== group)) return this.of(observer);
    return this.membership.holdersOf(group).filter((holder) => isRecordOf(holder, observer));
  }

  has(record: SubscriptionRecord): boolean {
    return this.#records.includes(record);
  }

  #remove(record: SubscriptionRecord): void {
    if (!this.#records.includes(record)) return;
    this.#records = this.#records.filter((other) => other !== record);
    this.count.subscriptions -= 1;
  }
}

function isRecordOf(holder: object, observer: Observer): holder is SubscriptionRecord {
  return 'observer' in holder && holder.observer === observer;
}

/** The requests through which something in these groups is heard. */
export function requestsThrough(
  { requests }: SubscriptionRecord,
  groups: readonly string[],
): readonly SubscribingRequest[] {
  return requests.filter((request) => request.groups.some((group) => groups.includes(group)));
}

function textOf({ action, sent, kwargs, groups }: SubscribingRequest): string {
  return encodeData([action, sent, kwargs, groups]);
}

/** Those of a list that are not in another. Lists of groups are not changed: subscription and request may share one. */
export function without(groups: readonly string[], others: readonly string[]): readonly string[] {
  if (others.length === 0) return groups;
  const excluded = new Set(others);
  return groups.filter((group) => !excluded.has(group));
}
