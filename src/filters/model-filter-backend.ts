import type { FilterQuery } from '@mikro-orm/core';
import type { KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { ConcreteClass } from '../metadata.js';
import type { ActionContext } from '../scope/action-context.js';

/** Carries types only; it never has a value. */
export declare const filteredRows: unique symbol;

/**
 * A provider that narrows the rows of the consumers that name it, for all their actions and deliveries, as a consumer's own `filterQuery`
 * does. It may serve every entity that has certain properties:
 *
 * ```ts
 * class OwnKwargs { @IsOptional() @IsBoolean() mine?: boolean }
 * interface Hosted { host?: Rel<User> | null }
 * @injectable()
 * class HostedRows extends FilterBackend<Hosted> {
 *   static override readonly kwargs = OwnKwargs;             // kwargs that clients may send with `list`
 *   filterQuery(query: FilterQuery<Hosted>, { scope }: ActionContext, { mine }: OwnKwargs): FilterQuery<Hosted> {
 *     return mine ? { $and: [query, { host: scope.user ?? null }] } : query;
 *   }
 * }
 * ModelConsumer(Room, { serializer: RoomSerializer, filters: { backends: [HostedRows] } })
 * ```
 */
export abstract class FilterBackend<Row extends object = object> {
  declare readonly [filteredRows]: (row: Row) => void;
  /** The kwargs that clients may send with `list` for this backend. Default: none. */
  static readonly kwargs: KwargsSchema | undefined;

  /**
   * Narrows a query.
   *
   * @param kwargs the client's checked kwargs of `list`; empty for other actions and at deliveries
   */
  abstract filterQuery(
    query: FilterQuery<Row>,
    context: ActionContext,
    kwargs: object,
  ): FilterQuery<Row> | Promise<FilterQuery<Row>>;
}

/** The class of a backend, for any rows. */
export type FilterBackendClass = ConcreteClass<{
  readonly [filteredRows]: (row: never) => void;
  filterQuery(query: never, context: ActionContext, kwargs: never): unknown;
}> & { readonly kwargs: KwargsSchema | undefined };

/** A text if the backend is for other rows, which the compiler's message then shows. */
export type FittingBackend<Entity, Backend> =
  Backend extends ConcreteClass<infer Instance>
    ? Instance extends { readonly [filteredRows]: (row: infer Row) => void }
      ? Entity extends Row
        ? unknown
        : 'it filters the rows of another entity'
      : 'it is not a FilterBackend'
    : 'it is no class';
