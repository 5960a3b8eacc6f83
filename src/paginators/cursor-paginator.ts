import type { StandardSchemaV1 } from '@standard-schema/spec';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import { Page } from './page.js';
import { schemaOf } from './page-kwargs.js';
import { type PageSource, Paginator, type PaginatorTypes, type paginatorTypes } from './paginator.js';

export class CursorPage<Row> extends Page<Row> {
  /** @param next the cursor of the page behind this one; null where it is the last */
  constructor(
    readonly results: readonly Row[],
    readonly limit: number,
    readonly next: string | null,
  ) {
    super();
  }
}

export interface CursorKwargs {
  /** The `next` of another page; the first page without it. */
  readonly cursor?: string;
  readonly limit?: number;
}

export interface CursorTypes extends PaginatorTypes {
  readonly page: CursorPage<this['row']>;
}

/**
 * Pages that begin behind the last row of another one. They do not shift when rows come or go, and the last is as fast as the
 * first. A cursor holds the values of the columns that the list is ordered by, encoded and not encrypted.
 *
 * ```json
 * {"action": "list", "request_id": 1, "limit": 2, "cursor": "WyJpZCIsMl0"}
 * {"errors": [], "data": {"results": [{…}, {…}], "limit": 2, "next": "WyJpZCIsNF0"}, "action": "list", "response_status": 200, "request_id": 1}
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
    });
  }

  async page<Row>(source: PageSource<Row>, { cursor, limit }: CursorKwargs): Promise<CursorPage<Row>> {
    const size = this.sizeOf(limit);
    // One more than is shown tells whether there is a next page.
    const found = await source.after(cursor, size + 1);
    const results = found.slice(0, size);
    const last = results.at(-1);
    const next = found.length > size && last !== undefined ? source.positionOf(last) : null;
    return new CursorPage(results, size, next);
  }

  next({ limit, next }: CursorPage<unknown>): CursorKwargs | undefined {
    return next === null ? undefined : { limit, cursor: next };
  }
}
