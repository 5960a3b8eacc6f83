import { createEmitter } from './emitter.js';
import type { Subscription } from './subscription.js';

/** What an observer of a model sends. */
export type RowEvent =
  | { readonly action: 'create' | 'update'; readonly data: unknown }
  | { readonly action: 'delete'; readonly data: { readonly pk: unknown } };

/** The row that the events of an observer carry. */
export type RowOf<Event> = Event extends { readonly action: 'create' | 'update'; readonly data: infer Row }
  ? Row
  : never;

interface CommonLiveOptions<Row> {
  /** Gives the rows as they are now, or a page of them; called once the subscription is live, and again after each gap. */
  readonly list: () => PromiseLike<readonly Row[] | { readonly results: readonly Row[] }>;
  /** The order, as `Array.prototype.sort` takes it. Default that of the list, with new rows at its end. */
  readonly compare?: (one: Row, other: Row) => number;
  /**
   * Which rows belong to the collection; an updated row enters and leaves it accordingly. Default those of the list, and
   * new ones.
   */
  readonly filter?: (row: Row) => boolean;
}

/** By what rows are told apart: what a delete event names as `pk`. Default their `id`. */
export type LiveOptions<Row> = CommonLiveOptions<Row> &
  (Row extends { readonly id: unknown }
    ? { readonly key?: (row: Row) => unknown }
    : { readonly key: (row: Row) => unknown });

/**
 * - `loading`: there are no rows yet
 * - `ready`: the rows are those of the server, as far as its events have come
 * - `stale`: the connection is away, they are listed again, or the collection is closed
 * - `failed`: they could not be listed, or the subscription is over; `error` says why
 */
export type LiveStatus = 'loading' | 'ready' | 'stale' | 'failed';

/** What `getSnapshot` gives: never changed, but replaced by another one. */
export interface LiveSnapshot<Row> {
  /** In their order; empty while they are loading. */
  readonly rows: readonly Row[];
  readonly status: LiveStatus;
  /** Why the status is `failed`; undefined in any other. */
  readonly error: unknown;
}

/** Rows that follow the server. Its two first members are what React's `useSyncExternalStore` takes. */
export interface LiveCollection<Row> {
  /** @returns ends the listening */
  readonly subscribe: (listener: () => void) => () => void;
  /** The same object until something changes. */
  readonly getSnapshot: () => LiveSnapshot<Row>;
  /** Lists the rows again. */
  readonly refetch: () => void;
  /** Ends the subscription; the rows stay as they are. */
  readonly close: () => void;
}

/**
 * Keeps a list in step with the events of a subscription: it lists once the subscription is live, so that nothing falls
 * between the two, and applies what came meanwhile to what was listed.
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
  /** Events since the rows are being listed; what is listed may be older than they are, or newer. */
  #meanwhile: RowEvent[] | undefined;
  #isListed = false;
  #error: unknown;
  #snapshot: LiveSnapshot<Row> | undefined;
  /** The number of the latest listing: what an older one brings comes too late. */
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

  /** Where the connection was lost, they are listed again once it is back. */
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
    // What was listed may be a page: a row that is not on it does not come in by a change.
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

/** A key of several columns is an object. */
function comparable(key: unknown): unknown {
  return typeof key === 'object' ? JSON.stringify(key) : key;
}

function idOf(row: unknown): unknown {
  return (row as { readonly id: unknown }).id;
}
