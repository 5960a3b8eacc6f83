/** Carries types only; it never has a value. */
export declare const pageTypes: unique symbol;

/**
 * One page of a list. The consumer's serializer shows its results; its other properties are sent unchanged.
 *
 * ```json
 * {"errors": [], "data": {"count": 5, "results": [{…}, {…}], "limit": 2, "offset": 0}, "action": "list", …}
 * ```
 */
export abstract class Page<Row> {
  /** Distinguishes a page from another object with `results` that an action returns. */
  declare readonly [pageTypes]: Row;
  /** Entities or rows from the page source, which the consumer's serializer shows. */
  abstract readonly results: readonly Row[];
}
