import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import type { KwargsOf, KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { ConcreteClass } from '../metadata.js';
import type { Page } from './page.js';

/** The rows of one list: those that the client may see, filtered and in order. */
export interface PageSource<Row> {
  /** The number of rows of the whole list, by one query. */
  count(): Promise<number>;
  /** @param offset the number of rows to skip */
  slice(offset: number, limit: number): Promise<Row[]>;
  /**
   * The rows after a position, or the first rows.
   *
   * @throws ValidationFailed for a text that is no position of this list
   */
  after(position: string | undefined, limit: number): Promise<Row[]>;
  /**
   * The `limit` rows just before a position, or the last rows, in the order of the list.
   *
   * @throws ValidationFailed for a text that is no position of this list
   */
  before(position: string | undefined, limit: number): Promise<Row[]>;
  /** The position of a row from `after` or `before` in the order of the list: a text that means nothing to clients. */
  positionOf(row: Row): string;
}

/** Carries types only; it never has a value. */
export declare const paginatorTypes: unique symbol;

/** The types of a paginator: `page` may refer to `this['row']`. */
export interface PaginatorTypes {
  /** The type of a row; refer to it as `this['row']`. */
  readonly row: unknown;
  /** The type of a page of such rows. */
  readonly page: object;
}

/**
 * A provider that cuts lists into pages. Applications set its numbers in a subclass, which may have injected members:
 *
 * ```ts
 * class RoomPages extends LimitOffsetPaginator {
 *   override readonly pageSize = 50;
 *   override readonly maximumPageSize = 500;
 * }
 *
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer, paginator: RoomPages }), List) {}
 * ```
 *
 * or write one of their own, with a page of its own:
 *
 * ```ts
 * class Chunk<Row> extends Page<Row> { constructor(readonly results: readonly Row[], readonly isLast: boolean) { super(); } }
 * interface ChunkTypes extends PaginatorTypes { readonly page: Chunk<this['row']> }
 *
 * class Chunks extends Paginator {
 *   declare readonly [paginatorTypes]: ChunkTypes;
 *   static override readonly kwargs = ChunkKwargs;
 *   async page<Row>(source: PageSource<Row>, { chunk }: ChunkKwargs) { … }
 *   next(page: Chunk<unknown>, { chunk }: ChunkKwargs) { return page.isLast ? undefined : { chunk: chunk + 1 }; }
 * }
 * ```
 */
export abstract class Paginator {
  declare readonly [paginatorTypes]: PaginatorTypes;
  /** What clients may send: a class with class-validator's rules, or any Standard Schema. */
  static readonly kwargs: KwargsSchema;

  /** Describes its pages for the explorer and the AsyncAPI document. Default: `{ results }`. */
  static pageSchema(row: JsonSchema): JsonSchema {
    return objectSchema({ results: { type: 'array', items: row } });
  }

  /** Rows of a page if the client names no number. Default: 25. */
  readonly pageSize: number = 25;
  /** The most rows that a client may ask for; a larger number is reduced to this one. Default: 100. */
  readonly maximumPageSize: number = 100;
  /** The pause of StreamedList between two pages, in milliseconds. Default: 0. */
  readonly pause: number = 0;

  /**
   * Reads the page that a client asked for.
   *
   * @param kwargs the client's kwargs, checked by the static `kwargs`
   * @throws ValidationFailed for errors that these rules cannot see, such as an unknown cursor
   */
  abstract page<Row>(source: PageSource<Row>, kwargs: object): Promise<Page<Row>>;

  /** The kwargs of the next page; undefined on the last page. */
  abstract next(page: Page<unknown>, kwargs: object): object | undefined;

  /**
   * The rows of a page.
   *
   * @param asked the `limit` of the client. Default: `pageSize`; never more than `maximumPageSize`
   */
  protected sizeOf(asked: number | undefined): number {
    return Math.min(asked ?? this.pageSize, this.maximumPageSize);
  }
}

/** The option `paginator` of a model consumer. */
export type PaginatorClass = ConcreteClass<Paginator> & {
  readonly kwargs: KwargsSchema;
  pageSchema(row: JsonSchema): JsonSchema;
};

/** The page that a paginator makes of rows. */
export type PageOf<P, Row> =
  P extends ConcreteClass<infer Instance extends Paginator>
    ? (Instance[typeof paginatorTypes] & { readonly row: Row })['page']
    : never;

/** The kwargs that clients may send to a paginator. */
export type PageKwargsOf<P> = P extends { readonly kwargs: infer Schema extends KwargsSchema }
  ? KwargsOf<Schema>
  : never;
