import type { FilterNames, FilterOptions } from '../filters/filter-types.js';
import type { PaginatorClass } from '../paginators/paginator.js';
import type { SerializerClass } from '../serializers/serializer.js';

export interface ModelConsumerOptions<
  S extends SerializerClass,
  P extends PaginatorClass | undefined,
  Field extends string,
  Ordering extends string,
  Search extends string,
  Lookup extends string,
  Kwarg extends string,
> {
  /** What rows look like in replies and events, and what may be sent for them. */
  readonly serializer: S;
  /** Cuts `list` into pages; without one, a list is whole. */
  readonly paginator?: P;
  /** What clients may narrow and order `list` by. */
  readonly filters?: FilterOptions<Field, Ordering, Search>;
  /**
   * The column that objects are looked up by; default their key. Where several of the consumer's rows share a value, a client
   * that names it is answered with 409.
   */
  readonly lookupField?: Lookup;
  /** What clients call it: `{"action": "retrieve", "slug": "red"}`; default as the field, and `pk` for the key. */
  readonly lookupUrlKwarg?: Kwarg;
}

/** What the options of a model consumer make of its actions. */
export interface ModelTraits {
  readonly paginator: PaginatorClass | undefined;
  readonly filters: FilterNames;
  readonly lookupField: string;
  readonly lookupUrlKwarg: string;
}

export interface TraitsOf<
  P extends PaginatorClass | undefined,
  Field extends string,
  Ordering extends string,
  Search extends string,
  Lookup extends string,
  Kwarg extends string,
> extends ModelTraits {
  readonly paginator: P;
  readonly filters: { readonly fields: Field; readonly ordering: Ordering; readonly search: Search };
  readonly lookupField: Lookup;
  readonly lookupUrlKwarg: Kwarg;
}

/** Those of one without options. */
export type PlainTraits = TraitsOf<undefined, never, never, never, 'pk', 'pk'>;
