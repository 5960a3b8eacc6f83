import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { Page } from './page.js';
import { wholeNumbers } from './page-kwargs.js';
import { type PageSource, Paginator, type PaginatorTypes, type paginatorTypes } from './paginator.js';

/** A page of `PageNumberPaginator`, as clients see it: `{ count, results, limit, page, pages }`. */
export class NumberedPage<Row> extends Page<Row> {
  constructor(
    /** The number of rows of the whole list. */
    readonly count: number,
    readonly results: readonly Row[],
    /** The most rows that a page may have. */
    readonly limit: number,
    /** The number of this page, from 1. */
    readonly page: number,
    /** The number of pages of the whole list. */
    readonly pages: number,
  ) {
    super();
  }
}

/** The kwargs of `list` with `PageNumberPaginator`. */
export interface PageNumberKwargs {
  /** The number of the page, from 1. Default: 1. */
  readonly page?: number;
  /** Rows of a page, from 1. Default: `pageSize` (25). A number above `maximumPageSize` (100) is reduced to that. */
  readonly limit?: number;
}

export interface PageNumberTypes extends PaginatorTypes {
  readonly page: NumberedPage<this['row']>;
}

/**
 * Pages by number, from 1. A page after the last one is empty.
 *
 * ```json
 * {"action": "list", "request_id": 1, "page": 2}
 * {"errors": [], "data": {"count": 30, "results": [{…}, …], "limit": 25, "page": 2, "pages": 2}, "action": "list", "response_status": 200, "request_id": 1}
 * ```
 */
export class PageNumberPaginator extends Paginator {
  declare readonly [paginatorTypes]: PageNumberTypes;
  static override readonly kwargs: StandardSchemaV1<PageNumberKwargs> = wholeNumbers({ page: 1, limit: 1 });

  static override pageSchema(row: JsonSchema): JsonSchema {
    const whole = { type: 'integer' };
    return objectSchema({
      count: whole,
      results: { type: 'array', items: row },
      limit: whole,
      page: whole,
      pages: whole,
    });
  }

  async page<Row>(source: PageSource<Row>, { limit, page = 1 }: PageNumberKwargs): Promise<NumberedPage<Row>> {
    const size = this.sizeOf(limit);
    const count = await source.count();
    const pages = Math.max(1, Math.ceil(count / size));
    const results = page <= pages && count > 0 ? await source.slice((page - 1) * size, size) : [];
    return new NumberedPage(count, results, size, page, pages);
  }

  next({ limit, page, pages }: NumberedPage<unknown>): PageNumberKwargs | undefined {
    return page < pages ? { limit, page: page + 1 } : undefined;
  }
}
