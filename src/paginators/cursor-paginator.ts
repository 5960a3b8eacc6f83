import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { Page } from './page.js';
import { schemaOf } from './page-kwargs.js';
import { type PageSource, Paginator, type PaginatorTypes, type paginatorTypes } from './paginator.js';

/** A page of `CursorPaginator`, as clients see it: `{ results, limit, next, previous }`. */
export class CursorPage<Row> extends Page<Row> {
  constructor(
    readonly results: readonly Row[],
    /** The most rows that a page may have. */
    readonly limit: number,
    /** The cursor of the next page; null on the last page. */
    readonly next: string | null,
    /** The cursor of the previous page; null on the first page. */
    readonly previous: string | null = null,
  ) {
    super();
  }
}

/** The kwargs of `list` with `CursorPaginator`. */
export interface CursorKwargs {
  /** The `next` or `previous` of another page. Default: the first page. */
  readonly cursor?: string;
  /** Rows of the page, from 1. Default: `pageSize` (25). A number above `maximumPageSize` (100) is reduced to that. */
  readonly limit?: number;
}

export interface CursorTypes extends PaginatorTypes {
  readonly page: CursorPage<this['row']>;
}

/** Prefix of the cursor of a page that ends before a position; no position begins so. */
const backwards = '~';

/**
 * Pages that begin after the last row of another page. They do not shift when rows are added or removed, and the last page is as
 * fast as the first. A cursor holds the row's values of the order's columns, encoded but not encrypted.
 *
 * ```json
 * {"action": "list", "request_id": 1, "limit": 2, "cursor": "WyJpZCIsMl0"}
 * {"errors": [], "data": {"results": [{…}, {…}], "limit": 2, "next": "WyJpZCIsNF0", "previous": "~WyJpZCIsM10"}, "action": "list", "response_status": 200, "request_id": 1}
 * ```
 */
export class CursorPaginator extends Paginator {
  declare readonly [paginatorTypes]: CursorTypes;
  static override readonly kwargs: StandardSchemaV1<CursorKwargs> = schemaOf({ limit: 1 }, { cursor: true });

  static override pageSchema(row: JsonSchema): JsonSchema {
    return objectSchema({
      results: { type: 'array', items: row },
      limit: { type: 'integer' },
      next: { type: ['string', 'null'] },
      previous: { type: ['string', 'null'] },
    });
  }

  /** @throws ValidationFailed for a cursor that does not belong to this list */
  async page<Row>(source: PageSource<Row>, { cursor, limit }: CursorKwargs): Promise<CursorPage<Row>> {
    const size = this.sizeOf(limit);
    return cursor?.startsWith(backwards)
      ? pageBefore(source, cursor.slice(backwards.length), size)
      : pageAfter(source, cursor, size);
  }

  next({ limit, next }: CursorPage<unknown>): CursorKwargs | undefined {
    return next === null ? undefined : { limit, cursor: next };
  }
}

// One row more than the page shows whether there is another page.

async function pageAfter<Row>(
  source: PageSource<Row>,
  position: string | undefined,
  size: number,
): Promise<CursorPage<Row>> {
  const found = await source.after(position, size + 1);
  const results = found.slice(0, size);
  const next = found.length > size ? endOf(source, results.at(-1)) : null;
  const first = results[0];
  // After the last row, all rows of the list are before the position.
  const previous = position === undefined ? null : backwards + (first === undefined ? '' : source.positionOf(first));
  return new CursorPage(results, size, next, previous);
}

/** The page before a position; the first page if there is no row before it. */
async function pageBefore<Row>(source: PageSource<Row>, position: string, size: number): Promise<CursorPage<Row>> {
  const found = await source.before(position === '' ? undefined : position, size + 1);
  if (found.length === 0) return pageAfter(source, undefined, size);
  const results = found.slice(-size);
  const first = results[0];
  const previous = found.length > size && first !== undefined ? backwards + source.positionOf(first) : null;
  return new CursorPage(results, size, position === '' ? null : endOf(source, results.at(-1)), previous);
}

function endOf<Row>(source: PageSource<Row>, last: Row | undefined): string | null {
  return last === undefined ? null : source.positionOf(last);
}
