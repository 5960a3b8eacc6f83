import type { Clock } from './clock.js';
import type { ApiError } from './errors.js';
import type { Logger } from './logger.js';
import { Status } from './status.js';

/** A request, and how it was answered. */
export interface AnsweredRequest {
  /** As the client named it; null where it named none. */
  readonly action: string | null;
  readonly requestId: string | number | null;
  /** Undefined where the connection ended first. */
  readonly status: number | undefined;
}

/** How long a request took, in milliseconds. */
export interface RunTime {
  readonly duration: number;
  readonly isSlow: boolean;
}

/** As much of the message of a change as its line tells. */
export interface AnnouncedChange {
  readonly observer: { readonly id: string };
  readonly commit: number;
  readonly pk: unknown;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** An event that a subscription is not sent. */
export interface WithheldEvent {
  readonly observer: string;
  readonly event: string;
  readonly pk: unknown;
  readonly requestId: string | number;
  /** What decided so. */
  readonly by: string;
}

/** What one commit was to one observer. */
interface Events {
  readonly observer: string;
  readonly action: string;
  readonly rows: Set<string>;
  readonly groups: Set<string>;
  /** How many events were sent, by their action. */
  readonly sent: Map<string, number>;
}

/** For this many milliseconds the events of a commit are counted before their line is written. */
const countedFor = 20;

/** The longest that one name is in a line, and the most groups that a line names. */
const longestName = 80;
const mostGroups = 5;

/**
 * Lines for developers: one per request, per subscription, per commit and observer, and per event that is withheld.
 * It exists only in development with the setting `log.actions` at `all`, so that each call costs production one check.
 */
export class ActivityLog {
  readonly #events = new Map<string, Events>();

  constructor(
    private readonly logger: Logger,
    private readonly clock: Clock,
  ) {}

  /**
   * `retrieve rooms #42 200 3 ms`
   *
   * @param consumer its stream, or its class; undefined where the frame reached none
   * @param error that the reply tells of
   * @param time undefined where no action ran
   */
  request(
    { action, requestId, status }: AnsweredRequest,
    consumer: string | undefined,
    error: ApiError | undefined,
    time?: RunTime,
  ): void {
    const words = [cut(action ?? 'frame'), consumer && cut(consumer), idOf(requestId), status ?? 'disconnected'];
    if (time) words.push(`${time.duration} ms`);
    if (time?.isSlow) words.push('slow');
    const line = words.filter((word) => word !== undefined && word !== '').join(' ');
    const { code, errors, remedy } = error ?? {};
    const level = time?.isSlow || (status ?? 0) >= Status.serverError ? 'warn' : 'info';
    this.logger[level](line, { status, ...(code !== undefined && { code, errors }), ...(remedy && { remedy }) });
  }

  /** `subscribe RoomConsumer.onMessage #7 in room-1` */
  subscribed(observer: string, requestId: string | number, groups: readonly string[]): void {
    this.logger.info(`subscribe ${observer} ${idOf(requestId)}${inGroups(observer, groups)}`);
  }

  /** `revoke RoomConsumer.onMessage #7` */
  revoked(observer: string, requestId: string | number): void {
    this.logger.info(`revoke ${observer} ${idOf(requestId)}`);
  }

  /** `withhold create RoomConsumer.onMessage 9 from #7: IsMember` */
  withheld({ observer, event, pk, requestId, by }: WithheldEvent, user: unknown): void {
    const line = `withhold ${event} ${observer}${rowOf(pk)} from ${idOf(requestId)}: ${by}`;
    this.logger.info(line, user === undefined ? undefined : { user });
  }

  /** A change is on its way. @param signal its name, where it is a signal */
  announced(change: AnnouncedChange, signal?: string): void {
    this.#eventsOf(change, signal);
  }

  /** An event of a change was sent to one subscription: `event create RoomConsumer.onMessage 9 in room-1 -> 3 subscriptions`. */
  sent(change: AnnouncedChange, action: string): void {
    const { sent } = this.#eventsOf(change, action);
    sent.set(action, (sent.get(action) ?? 0) + 1);
  }

  #eventsOf(change: AnnouncedChange, action: string | undefined): Events {
    const { observer: declared, commit, pk, before, after } = change;
    const { id: observer } = declared;
    const key = `${commit} ${observer}`;
    const known = this.#events.get(key) ?? {
      observer,
      action: action ?? actionOf(change),
      rows: new Set<string>(),
      groups: new Set<string>(),
      sent: new Map<string, number>(),
    };
    if (this.#events.size === 0) this.clock.after(countedFor, () => this.#writeEvents());
    this.#events.set(key, known);
    known.rows.add(rowOf(pk));
    for (const group of [...before, ...after]) known.groups.add(group);
    return known;
  }

  #writeEvents(): void {
    for (const { observer, action, rows, groups, sent } of this.#events.values()) {
      const [row = ''] = rows;
      const what = `${observer}${rows.size === 1 ? row : ` ${rows.size} rows`}${inGroups(observer, [...groups])}`;
      // A permission that takes longer than these lines wait for may still let it pass: that is a line of its own.
      if (sent.size === 0) this.logger.debug(`event ${action} ${what} -> no subscription so far`);
      const [one, several] = rows.size === 1 ? ['subscription', 'subscriptions'] : ['event', 'events'];
      for (const [name, count] of sent)
        this.logger.info(`event ${name} ${what} -> ${count} ${count === 1 ? one : several}`);
    }
    this.#events.clear();
  }
}

function actionOf({ before, after }: AnnouncedChange): string {
  if (before.length === 0) return 'create';
  return after.length === 0 ? 'delete' : 'update';
}

/** The key of a row as text; empty for a signal, which has no row. */
function rowOf(pk: unknown): string {
  if (pk === null || pk === undefined) return '';
  return ` ${cut(typeof pk === 'object' ? JSON.stringify(pk) : String(pk))}`;
}

/** As the groups methods name them. */
function inGroups(observer: string, groups: readonly string[]): string {
  const names = groups.slice(0, mostGroups).map((group) => cut(group.slice(observer.length + 1)));
  if (groups.length > mostGroups) names.push(`${groups.length - mostGroups} more`);
  return names.length === 0 ? '' : ` in ${names.join(', ')}`;
}

function idOf(requestId: string | number | null): string | undefined {
  return requestId === null ? undefined : `#${cut(String(requestId))}`;
}

function cut(name: string): string {
  return name.length <= longestName ? name : `${name.slice(0, longestName)}…`;
}
