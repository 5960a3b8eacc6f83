/** Carries types only; no value is ever there. */
export declare const pageTypes: unique symbol;

/**
 * One page of a list. Its results are shown by the consumer's serializer, its other properties as they are.
 *
 * ```json
 * {"errors": [], "data": {"count": 5, "results": [{…}, {…}], "limit": 2, "offset": 0}, "action": "list", …}
 * ```
 */
export abstract class Page<Row> {
  /** Tells a page from an action's own object that has results. */
  declare readonly [pageTypes]: Row;
  /** Entities or rows as the page source gave them: the consumer's serializer shows them. */
  abstract readonly results: readonly Row[];
}
