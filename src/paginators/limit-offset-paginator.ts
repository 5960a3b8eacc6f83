import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { Page } from './page.js';
import { wholeNumbers } from './page-kwargs.js';
import { type PageSource, Paginator, type PaginatorTypes, type paginatorTypes } from './paginator.js';

/** A page of `LimitOffsetPaginator`, as clients see it: `{ count, results, limit, offset }`. */
export class LimitOffsetPage<Row> extends Page<Row> {
  constructor(
    /** The number of rows of the whole list. */
    readonly count: number,
    readonly results: readonly Row[],
    /** The most rows that a page may have. */
    readonly limit: number,
    /** The number of rows before this page. */
    readonly offset: number,
  ) {
    super();
  }
}

/** The kwargs of `list` with `LimitOffsetPaginator`. */
export interface LimitOffsetKwargs {
  /** Rows of the page, from 1. Default: `pageSize` (25). A number above `maximumPageSize` (100) is reduced to that. */
  readonly limit?: number;
  /** Rows before the page, from 0. Default: 0. */
  readonly offset?: number;
}

export interface LimitOffsetTypes extends PaginatorTypes {
  readonly page: LimitOffsetPage<this['row']>;
}

/**
 * DCRF's pages. Rows that are added or removed between two requests shift the following pages; those of CursorPaginator do not shift.
 *
 * ```json
 * {"action": "list", "request_id": 1, "limit": 2, "offset": 2}
 * {"errors": [], "data": {"count": 5, "results": [{…}, {…}], "limit": 2, "offset": 2}, "action": "list", "response_status": 200, "request_id": 1}
 * ```
 */
export class LimitOffsetPaginator extends Paginator {
  declare readonly [paginatorTypes]: LimitOffsetTypes;
  static override readonly kwargs: StandardSchemaV1<LimitOffsetKwargs> = wholeNumbers({ limit: 1, offset: 0 });

  static override pageSchema(row: JsonSchema): JsonSchema {
    const whole = { type: 'integer' };
    return objectSchema({ count: whole, results: { type: 'array', items: row }, limit: whole, offset: whole });
  }

  async page<Row>(source: PageSource<Row>, { limit, offset = 0 }: LimitOffsetKwargs): Promise<LimitOffsetPage<Row>> {
    const size = this.sizeOf(limit);
    const count = await source.count();
    const results = offset < count ? await source.slice(offset, size) : [];
    return new LimitOffsetPage(count, results, size, offset);
  }

  next({ count, limit, offset }: LimitOffsetPage<unknown>): LimitOffsetKwargs | undefined {
    return offset + limit < count ? { limit, offset: offset + limit } : undefined;
  }
}
