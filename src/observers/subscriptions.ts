import { createHash } from 'node:crypto';
import { ParseError } from '../errors.js';
import { isEntity } from '../orm/model-entity.js';
import { heapBytesOf } from '../wire/heap-bytes.js';
import type { RequestId } from '../wire/messages.js';
import type { Observer } from './observer.js';
import type {
  SubscribingRequest,
  SubscriptionIndex,
  SubscriptionReceiver,
  SubscriptionRecord,
} from './subscription-index.js';

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
