import type {
  FilterNames,
  FilterOptions,
  FilterPath,
  OperatorsOf,
  OwnFilterKwargs,
  TextPath,
} from '../filters/filter-types.js';
import type { FittingBackend } from '../filters/model-filter-backend.js';
import type { PaginatorClass } from '../paginators/paginator.js';
import type { FieldOf, Fitting } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';

/** The options of a model consumer, whatever its entity is. */
export interface AnyModelOptions {
  /** What rows look like in replies and events, and what may be sent for them. */
  readonly serializer: SerializerClass;
  /** Cuts `list` into pages. Default none: a list is whole. */
  readonly paginator?: PaginatorClass | undefined;
  /** What clients may narrow and order `list` by. Default nothing. */
  readonly filters?: FilterOptions<string, string, string>;
  /** The column that objects are looked up by. Default `pk`, the key of the entity. */
  readonly lookupField?: string;
  /** What clients call the lookup field. Default its own name. */
  readonly lookupUrlKwarg?: string;
  /** Rows of one bulk request. Default 100. */
  readonly maximumBulkSize?: number;
}

/** Options of `ModelConsumer(Entity, options)`. All but `serializer` may be left out. */
export interface ModelConsumerOptions<Entity> extends AnyModelOptions {
  /** What rows look like in replies and events, and what may be sent for them. */
  readonly serializer: SerializerClass;
  /** Cuts `list` into pages; without one, a list is whole. */
  readonly paginator?: PaginatorClass | undefined;
  /** What clients may narrow and order `list` by. */
  readonly filters?: FilterOptions<FilterPath<Entity>, FilterPath<Entity>, TextPath<Entity>>;
  /**
   * The column that objects are looked up by; default their key. Where several of the consumer's rows share a value, a client
   * that names it is answered with 409.
   */
  readonly lookupField?: FieldOf<Entity> | 'pk';
  /** What clients call it: `{"action": "retrieve", "slug": "red"}`; default as the field, and `pk` for the key. */
  readonly lookupUrlKwarg?: string;
  /** How many rows `bulk_create`, `bulk_patch` and `bulk_delete` take in one request; default 100. */
  readonly maximumBulkSize?: number;
}

/** What an inferred type does not refuse by itself; texts, so that the compiler's complaint says what is wrong. */
export type SoundOptions<Entity, Options extends AnyModelOptions> = {
  readonly serializer: Fitting<Entity, Options['serializer']>;
} & NoOthers<keyof Options, keyof AnyModelOptions> & {
    readonly filters?: NoOthers<keyof Options['filters'], keyof FilterOptions<never, never, never>> &
      SoundFilters<Entity, Options['filters']>;
  };

type SoundFilters<Entity, Filters> = {
  readonly fields?: Filters extends { readonly fields: infer Fields }
    ? Fields extends readonly unknown[]
      ? unknown
      : { readonly [Name in Exclude<keyof Fields, FilterPath<Entity>>]: 'there is no such field' }
    : unknown;
  readonly backends?: Filters extends { readonly backends: infer Backends }
    ? { readonly [Index in keyof Backends]: FittingBackend<Entity, Backends[Index]> }
    : unknown;
};

type NoOthers<Given, Known> = { readonly [Name in Exclude<Given, Known> & string]: 'there is no such option' };

/** What the options of a model consumer make of its actions. */
export interface ModelTraits {
  /** Types the page that `list` answers. */
  readonly paginator: PaginatorClass | undefined;
  /** Types `filter`, `ordering` and `search` of `list`. */
  readonly filters: FilterNames;
  /** Types the value that names a row. */
  readonly lookupField: string;
  /** The name of the kwarg that names a row. */
  readonly lookupUrlKwarg: string;
}

/** The `ModelTraits` of given options, as literal types. */
export interface TraitsOf<Options extends AnyModelOptions> extends ModelTraits {
  readonly paginator: Options extends { readonly paginator: infer P extends PaginatorClass | undefined }
    ? P
    : undefined;
  readonly filters: {
    readonly fields: Options extends { readonly filters: { readonly fields: infer Fields } }
      ? OperatorsOf<Fields>
      : Record<never, never>;
    readonly ordering: FilterNameOf<Options, 'ordering'>;
    readonly search: FilterNameOf<Options, 'search'>;
    readonly kwargs: Options extends { readonly filters: infer Filters } ? OwnFilterKwargs<Filters> : unknown;
  };
  readonly lookupField: LookupFieldOf<Options>;
  readonly lookupUrlKwarg: Options extends { readonly lookupUrlKwarg: infer Kwarg extends string }
    ? Kwarg
    : LookupFieldOf<Options>;
}

type FilterNameOf<Options, Kind extends string> = Options extends {
  readonly filters: { readonly [Key in Kind]: readonly (infer Name extends string)[] };
}
  ? Name
  : never;

type LookupFieldOf<Options> = Options extends { readonly lookupField: infer Field extends string } ? Field : 'pk';

/** Those of one without options. */
export type PlainTraits = TraitsOf<AnyModelOptions>;
