import { createEmitter } from './emitter.js';
import type { Subscription } from './subscription.js';

/** An event of a model's observer. */
export type RowEvent =
  | { readonly action: 'create' | 'update'; readonly data: unknown }
  | { readonly action: 'delete'; readonly data: { readonly pk: unknown } };

/** The type of the rows in an observer's events. */
export type RowOf<Event> = Event extends { readonly action: 'create' | 'update'; readonly data: infer Row }
  ? Row
  : never;

interface CommonLiveOptions<Row> {
  /** Returns the current rows, or a page of them. Called when the subscription is live, and again after each gap. */
  readonly list: () => PromiseLike<readonly Row[] | { readonly results: readonly Row[] }>;
  /** The order, as `Array.prototype.sort` takes it. Default: the order of the list, with new rows at its end. */
  readonly compare?: (one: Row, other: Row) => number;
  /** Which rows belong to the collection; an updated row enters and leaves it accordingly. Default: the rows of the list, and new rows. */
  readonly filter?: (row: Row) => boolean;
}

/** How rows are identified: by the value that a delete event names as `pk`. Default: their `id`. */
export type LiveOptions<Row> = CommonLiveOptions<Row> &
  (Row extends { readonly id: unknown }
    ? { readonly key?: (row: Row) => unknown }
    : { readonly key: (row: Row) => unknown });

/**
 * - `loading`: there are no rows yet
 * - `ready`: the rows are those of the server, up to its latest event
 * - `stale`: the connection is lost, the rows are being listed again, or the collection is closed
 * - `failed`: the rows could not be listed, or the subscription is over; `error` says why
 */
export type LiveStatus = 'loading' | 'ready' | 'stale' | 'failed';

/** The value of `getSnapshot`: it never changes, but another one replaces it. */
export interface LiveSnapshot<Row> {
  /** The rows in order; empty while they are loading. */
  readonly rows: readonly Row[];
  /** The state of the rows: still loading, up to date, possibly out of date, or not available. */
  readonly status: LiveStatus;
  /** Why the status is `failed`; otherwise undefined. */
  readonly error: unknown;
}

/** Rows that follow the server. Its first two members fit React's `useSyncExternalStore`. */
export interface LiveCollection<Row> {
  /**
   * Calls the listener after each change.
   *
   * @returns a function that removes the listener
   */
  readonly subscribe: (listener: () => void) => () => void;
  /** The current snapshot: the same object until something changes. */
  readonly getSnapshot: () => LiveSnapshot<Row>;
  /** Lists the rows again. */
  readonly refetch: () => void;
  /** Ends the subscription; the rows stay as they are. */
  readonly close: () => void;
}

/**
 * Keeps a list in step with the events of a subscription. It lists the rows after the subscription is live, so that no change is missed,
 * and applies the events that came meanwhile to the listed rows.
 *
 * ```ts
 * const messages = live(client.rooms.$on('onMessage', 'subscribeToRoom', { room: 1 }), {
 *   list: () => client.rooms.listMessages({ room: 1 }),
 *   compare: (one, other) => one.id - other.id,
 * });
 * ```
 */
export function live<Event extends RowEvent>(
  subscription: Subscription<Event>,
  options: LiveOptions<RowOf<Event>>,
): LiveCollection<RowOf<Event>> {
  const { key = idOf } = options as Partial<CompleteLiveOptions<RowOf<Event>>>;
  const rows = new LiveRows<RowOf<Event>>(subscription, { ...options, key });
  return {
    subscribe: (listener) => rows.subscribe(listener),
    getSnapshot: () => rows.snapshot,
    refetch: () => void rows.refetch(),
    close: () => rows.close(),
  };
}

type CompleteLiveOptions<Row> = CommonLiveOptions<Row> & { readonly key: (row: Row) => unknown };

class LiveRows<Row> {
  readonly #subscription: Subscription<RowEvent>;
  readonly #options: CompleteLiveOptions<Row>;
  readonly #listeners = createEmitter<[]>();
  #rows = new Map<unknown, Row>();
  /** Events that came while the rows are being listed; the listed rows may be older or newer than these. */
  #meanwhile: RowEvent[] | undefined;
  #isListed = false;
  #error: unknown;
  #snapshot: LiveSnapshot<Row> | undefined;
  /** The number of the latest listing. The result of an earlier listing is ignored. */
  #listing = 0;

  constructor(subscription: Subscription<RowEvent>, options: CompleteLiveOptions<Row>) {
    this.#subscription = subscription;
    this.#options = options;
    subscription.onEvent((event) => this.#receive(event));
    subscription.onChange(() => this.#changed());
    subscription.onResync(() => void this.refetch());
    subscription.ready.then(
      () => this.refetch(),
      () => {},
    );
  }

  get snapshot(): LiveSnapshot<Row> {
    const error = this.#error ?? this.#subscription.error;
    this.#snapshot ??= { rows: this.#sorted(), status: error ? 'failed' : this.#status(), error };
    return this.#snapshot;
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners[0](listener);
  }

  close(): void {
    this.#listing++;
    this.#subscription.cancel();
  }

  async refetch(): Promise<void> {
    const listing = ++this.#listing;
    this.#meanwhile = [];
    this.#error = undefined;
    this.#changed();
    try {
      const listed = await this.#options.list();
      if (listing === this.#listing) this.#replace('results' in listed ? listed.results : listed);
    } catch (error) {
      if (listing === this.#listing) this.#fail(error);
    }
  }

  #replace(listed: readonly Row[]): void {
    this.#rows = new Map(listed.filter((row) => this.#belongs(row)).map((row) => [this.#keyOf(row), row]));
    for (const event of this.#meanwhile ?? []) this.#apply(event);
    this.#meanwhile = undefined;
    this.#isListed = true;
    this.#error = undefined;
    this.#changed();
  }

  /** Fails, unless the connection was lost: then the rows are listed again when it is back. */
  #fail(error: unknown): void {
    this.#meanwhile = undefined;
    if (this.#subscription.state !== 'pending') this.#error = error;
    this.#changed();
  }

  #receive(event: RowEvent): void {
    this.#meanwhile?.push(event);
    this.#apply(event);
    this.#changed();
  }

  #apply(event: RowEvent): void {
    if (event.action === 'delete') {
      this.#rows.delete(comparable(event.data.pk));
      return;
    }
    const row = event.data as Row;
    const key = this.#keyOf(row);
    if (!this.#belongs(row)) this.#rows.delete(key);
    // The listing may be a page: a changed row that is not on it does not enter the collection.
    else if (event.action === 'create' || this.#options.filter || this.#rows.has(key)) this.#rows.set(key, row);
  }

  #belongs(row: Row): boolean {
    return this.#options.filter?.(row) ?? true;
  }

  #keyOf(row: Row): unknown {
    return comparable(this.#options.key(row));
  }

  #sorted(): readonly Row[] {
    const rows = [...this.#rows.values()];
    return this.#options.compare ? rows.sort(this.#options.compare) : rows;
  }

  #status(): LiveStatus {
    if (!this.#isListed) return 'loading';
    return this.#subscription.state === 'live' && !this.#meanwhile ? 'ready' : 'stale';
  }

  #changed(): void {
    this.#snapshot = undefined;
    this.#listeners[1]();
  }
}

/** The key as a value to compare; a key of several columns is an object. */
function comparable(key: unknown): unknown {
  return typeof key === 'object' ? JSON.stringify(key) : key;
}

function idOf(row: unknown): unknown {
  return (row as { readonly id: unknown }).id;
}
