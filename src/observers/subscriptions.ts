import { createHash } from 'node:crypto';
import { ParseError } from '../errors.js';
import { isEntity } from '../orm/model-entity.js';
import type { GivenRights } from '../permissions/permission.js';
import { heapBytesOf } from '../wire/heap-bytes.js';
import type { RequestId } from '../wire/messages.js';
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

/** The size of one consumer's subscriptions. */
export interface SubscriptionCounts {
  /** The number of requests that subscribed, each counted once however often it was repeated. */
  subscriptions: number;
  groups: number;
  /** Bytes of heap of the subscriptions: an estimate that is not too low. */
  bytes: number;
}

/** Bytes of heap of a subscription without its groups and kwargs, and of each of its groups; both measured and rounded up. */
const subscriptionBytes = 1_024;
const groupBytes = 512;

/** A longer key is kept as its hash. */
const longestKey = 128;

/**
 * The only record of which requests of one consumer asked for which groups. A request id names one subscription per observer, however often
 * it is sent; two ids are two subscriptions, even for the same row.
 */
export class Subscriptions {
  /** A list, because a consumer has few subscriptions and a process has many such lists. */
  #records: readonly SubscriptionRecord[] = [];

  constructor(
    private readonly index: SubscriptionIndex,
    private readonly receiver: SubscriptionReceiver,
    private readonly count: SubscriptionCounts,
  ) {}

  get all(): readonly SubscriptionRecord[] {
    return this.#records;
  }

  /** Finds a subscription; `1` and `"1"` are two request ids. */
  find(observer: Observer, requestId: RequestId): SubscriptionRecord | undefined {
    return this.#records.find((record) => record.observer === observer && record.requestId === requestId);
  }

  /**
   * Opens a subscription, without any groups yet.
   *
   * @throws ParseError without a request id: its events could not say which request they answer
   */
  open(observer: Observer, requestId: RequestId, kwargs: unknown): SubscriptionRecord {
    if (requestId === null) throw new ParseError('A subscription needs a request_id.');
    const { receiver } = this;
    const since = Number.POSITIVE_INFINITY;
    const record: SubscriptionRecord = {
      receiver,
      observer,
      requestId,
      kwargs,
      groups: [],
      since,
      isEnded: false,
      requests: [],
    };
    this.#records = this.#records.concat(record);
    return record;
  }

  /**
   * Notes a request that asks for something new for its subscription.
   *
   * @returns a function that takes it back
   */
  note(record: SubscriptionRecord, request: SubscribingRequest): () => void {
    record.requests = record.requests.concat(request);
    this.count.subscriptions += 1;
    this.count.bytes += request.bytes;
    return () => this.#forget(record, [request]);
  }

  /**
   * Adds groups of a later request. What was committed before that request is no event of these groups; their events begin when their read
   * is done.
   */
  addLater(record: SubscriptionRecord, groups: readonly string[]): void {
    if (groups.length === 0) return;
    record.later ??= new Map();
    for (const group of groups) record.later.set(group, Number.POSITIVE_INFINITY);
  }

  /** The number of these groups that no subscription of the consumer is in. */
  countNew(groups: readonly string[]): number {
    return new Set(groups.filter((group) => !this.#isHeld(group))).size;
  }

  listen(record: SubscriptionRecord, groups: readonly string[]): void {
    const added = without(groups, record.groups);
    this.count.groups += this.countNew(added);
    record.groups = record.groups.length === 0 ? added : record.groups.concat(added);
    for (const group of added) this.index.add(group, record);
  }

  /** Takes these groups out of one subscription; without any group left the subscription ends. */
  leave(record: SubscriptionRecord, groups: readonly string[]): void {
    const left = without(record.groups, groups);
    const held = without(record.groups, left);
    record.groups = left;
    const heard = new Set(left);
    this.#forget(
      record,
      record.requests.filter((request) => !request.groups.some((group) => heard.has(group))),
    );
    this.count.groups -= this.countNew(held);
    for (const group of held) this.index.discard(group, record);
    if (left.length === 0) this.#remove(record);
  }

  /** Ends the one subscription of an observer and a request id, with all its groups. */
  removeRequest(observer: Observer, requestId: string | number): void {
    const record = this.find(observer, requestId);
    if (record) this.leave(record, record.groups);
  }

  /**
   * Ends all subscriptions.
   *
   * @returns their request ids
   */
  endAll(): ReadonlySet<string | number> {
    const ended = this.#records;
    for (const record of ended) this.leave(record, record.groups);
    return new Set(ended.map(({ requestId }) => requestId));
  }

  /** Ends all subscriptions of a request id. */
  end(requestId: string | number): void {
    for (const record of this.#records.filter((each) => each.requestId === requestId))
      this.leave(record, record.groups);
  }

  /** Takes these groups out of one subscription. */
  removeGroupsOf(observer: Observer, requestId: string | number, groups: readonly string[]): void {
    const record = this.find(observer, requestId);
    if (record) this.leave(record, groups);
  }

  /** Takes these groups out of all subscriptions of an observer. */
  removeGroups(observer: Observer, groups: readonly string[]): void {
    for (const record of this.of(observer)) this.leave(record, groups);
  }

  of(observer: Observer): readonly SubscriptionRecord[] {
    return this.#records.filter((record) => record.observer === observer);
  }

  #remove(record: SubscriptionRecord): void {
    if (!this.#records.includes(record)) return;
    record.isEnded = true;
    this.#records = this.#records.filter((other) => other !== record);
    this.#forget(record, record.requests);
  }

  #forget(record: SubscriptionRecord, requests: readonly SubscribingRequest[]): void {
    const forgotten = record.requests.filter((request) => requests.includes(request));
    if (forgotten.length === 0) return;
    record.requests = record.requests.filter((request) => !forgotten.includes(request));
    this.count.subscriptions -= forgotten.length;
    for (const { bytes } of forgotten) this.count.bytes -= bytes;
  }

  #isHeld(group: string): boolean {
    return this.#records.some(({ groups }) => groups.includes(group));
  }
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

/** @param sent what the client sent, under the names that are known */
export function subscribingRequest(
  action: string,
  requestId: RequestId,
  sent: Readonly<Record<string, unknown>>,
  kwargs: unknown,
  groups: readonly string[],
): SubscribingRequest {
  const text = JSON.stringify([action, sent, groups], asTold);
  const key = text.length > longestKey ? createHash('sha256').update(text).digest('base64') : text;
  // Kwargs that the application makes may contain themselves. Entities belong to the application, and may lead to any number of others.
  const held = heapBytesOf([requestId, action, key, sent, groups]) + heapBytesOf(kwargs, isEntity);
  const bytes = subscriptionBytes + groupBytes * groups.length + held;
  return { action, sent, kwargs, groups, key, bytes, rights: undefined };
}

/**
 * Makes values comparable as JSON: a schema may turn what a client sent into sets and maps, which JSON shows all alike, and bigints, which
 * it cannot show.
 */
function asTold(_name: string, value: unknown): unknown {
  if (value instanceof Set || value instanceof Map) return [...value];
  return typeof value === 'bigint' ? String(value) : value;
}

/** The groups of one list that are not in another. Lists of groups are never changed, because subscription and request may share one. */
export function without(groups: readonly string[], others: readonly string[]): readonly string[] {
  if (others.length === 0) return groups;
  const excluded = new Set(others);
  return groups.filter((group) => !excluded.has(group));
}
