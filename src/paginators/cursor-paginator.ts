import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { Page } from './page.js';
import { schemaOf } from './page-kwargs.js';
import { type PageSource, Paginator, type PaginatorTypes, type paginatorTypes } from './paginator.js';

/** A page of `CursorPaginator`, as clients see it: `{ results, limit, next, previous }`. */
export class CursorPage<Row> extends Page<Row> {
  /**
   * @param next the cursor of the page behind this one; null where it is the last
   * @param previous the cursor of the page ahead of this one; null where it is the first
   */
  constructor(
    readonly results: readonly Row[],
    readonly limit: number,
    readonly next: string | null,
    readonly previous: string | null = null,
  ) {
    super();
  }
}

/** What clients send to `CursorPaginator` with `list`. */
export interface CursorKwargs {
  /** The `next` or the `previous` of another page; the first page without it. */
  readonly cursor?: string;
  /** Rows of the page, from 1. Default `pageSize` (25); more than `maximumPageSize` (100) is cut to it. */
  readonly limit?: number;
}

export interface CursorTypes extends PaginatorTypes {
  readonly page: CursorPage<this['row']>;
}

/** Begins the cursor of a page that ends ahead of a position; no position begins so. */
const backwards = '~';

/**
 * Pages that begin behind the last row of another one. They do not shift when rows come or go, and the last is as fast as the
 * first. A cursor holds the values of the columns that the list is ordered by, encoded and not encrypted.
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

  /** @throws ValidationFailed for a cursor that is none of this list */
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

// One row more than is shown tells whether there is a page beyond.

async function pageAfter<Row>(
  source: PageSource<Row>,
  position: string | undefined,
  size: number,
): Promise<CursorPage<Row>> {
  const found = await source.after(position, size + 1);
  const results = found.slice(0, size);
  const next = found.length > size ? endOf(source, results.at(-1)) : null;
  const first = results[0];
  // Behind the last row, all that there is stands ahead.
  const previous = position === undefined ? null : backwards + (first === undefined ? '' : source.positionOf(first));
  return new CursorPage(results, size, next, previous);
}

/** Where nothing is ahead of the position, the first page. */
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
