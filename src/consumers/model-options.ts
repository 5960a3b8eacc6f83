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

/** The options of a model consumer of any entity. */
export interface AnyModelOptions {
  /** Shows rows in replies and events, and defines what clients may send for them. */
  readonly serializer: SerializerClass;
  /** Divides `list` into pages. Default: none; a list has all rows. */
  readonly paginator?: PaginatorClass | undefined;
  /** How clients may filter and order `list`. Default: not at all. */
  readonly filters?: FilterOptions<string, string, string>;
  /** The column by which clients name objects. Default: `pk`, the key of the entity. */
  readonly lookupField?: string;
  /** The kwarg for the lookup field. Default: the field's name. */
  readonly lookupUrlKwarg?: string;
  /** The most rows of one bulk request. Default: 100. */
  readonly maximumBulkSize?: number;
}

/** Options of `ModelConsumer(Entity, options)`. All but `serializer` may be left out. */
export interface ModelConsumerOptions<Entity> extends AnyModelOptions {
  /** Shows rows in replies and events, and defines what clients may send for them. */
  readonly serializer: SerializerClass;
  /** Divides `list` into pages. Default: none; a list has all rows. */
  readonly paginator?: PaginatorClass | undefined;
  /** How clients may filter and order `list`. Default: not at all. */
  readonly filters?: FilterOptions<FilterPath<Entity>, FilterPath<Entity>, TextPath<Entity>>;
  /**
   * The column by which clients name objects. Default: `pk`, the key of the entity. If several of the consumer's rows share a value, a
   * client that names it is answered with 409.
   */
  readonly lookupField?: FieldOf<Entity> | 'pk';
  /** The kwarg for the lookup field: `{"action": "retrieve", "slug": "red"}`. Default: the field's name. */
  readonly lookupUrlKwarg?: string;
  /** The most rows that `bulk_create`, `bulk_patch` and `bulk_delete` take in one request. Default: 100. */
  readonly maximumBulkSize?: number;
}

/** Refuses options that type inference would accept. The types are texts, so that the compiler's message says what is wrong. */
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

/** The parts of a model consumer's options that determine the types of its actions. */
export interface ModelTraits {
  /** Determines the type of the page that `list` returns. */
  readonly paginator: PaginatorClass | undefined;
  /** Determines the types of `filter`, `ordering` and `search` of `list`. */
  readonly filters: FilterNames;
  /** Determines the type of the value that names a row. */
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

/** The traits of a consumer without options. */
export type PlainTraits = TraitsOf<AnyModelOptions>;
