import type { KwargsOf, KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { FieldInput, FieldOf, ReadPath, TargetOf } from '../serializers/model-types.js';
import type { FilterBackendClass } from './model-filter-backend.js';

/** How clients may filter and order a list: only by the paths that are named here. */
export interface FilterOptions<Field extends string, Ordering extends string, Search extends string> {
  /**
   * Columns, relations by key, and columns of relations. Fields in a list take one value or several: `['archived', 'project.team']` allows
   * `"filter": {"archived": false, "project.team": [1, 2]}`. An object names the operators of each field: `{ due: ['lt', 'is_null'] }`
   * allows `"filter": {"due": {"lt": "2026-01-01"}}`.
   */
  readonly fields?: FilterFields<Field>;
  /** Columns, also of relations: `"ordering": "-name"`, `"ordering": ["host.username", "-name"]`. */
  readonly ordering?: readonly Ordering[];
  /** Text columns, one of which has to contain each word, ignoring case: `"search": "red room"`. */
  readonly search?: readonly Search[];
  /** Further kwargs of `list`; they are the third parameter of `filterQuery`. */
  readonly kwargs?: KwargsSchema;
  /** Providers that narrow the rows of this consumer, in this order, after its `filterQuery`. */
  readonly backends?: readonly FilterBackendClass[];
}

export type FilterFields<Field extends string> =
  | readonly Field[]
  | { readonly [Name in Field]?: readonly FilterOperator[] };

/** The operators of a filter field: `{"filter": {"due": {"lt": "2026-01-01"}}}`. */
export type FilterOperator = keyof Operands<unknown, unknown>;

/** The value that a client sends for each operator. */
interface Operands<Value, Nothing> {
  readonly exact: Value | Nothing;
  readonly in: readonly (Value | Nothing)[];
  /** Neither the value nor, if it is a list, any of its items. */
  readonly not: Value | Nothing | readonly (Value | Nothing)[];
  readonly lt: Value;
  readonly lte: Value;
  readonly gt: Value;
  readonly gte: Value;
  /** From the first value to the second, including both. */
  readonly between: readonly [from: Value, to: Value];
  readonly contains: string;
  /** Contains the text, ignoring case. */
  readonly icontains: string;
  readonly starts_with: string;
  /** Begins with the text, ignoring case. */
  readonly istarts_with: string;
  readonly is_null: boolean;
}

/** The name of a property that holds text. */
export type TextFieldOf<Entity> = {
  [Field in FieldOf<Entity>]: Exclude<Entity[Field], null | undefined> extends string ? Field : never;
}[FieldOf<Entity>];

/** A property, or a property of a relation: `name`, `labels`, `project.team`. */
export type FilterPath<Entity> = FieldOf<Entity> | ReadPath<Entity>;

/** A path to text. Paths through two relations or more are checked at start-up. */
export type TextPath<Entity> =
  | TextFieldOf<Entity>
  | {
      [Field in FieldOf<Entity>]: [TargetOf<Entity[Field]>] extends [never]
        ? never
        : `${Field}.${TextFieldOf<TargetOf<Entity[Field]>>}` | `${Field}.${string}.${string}`;
    }[FieldOf<Entity>];

/** What the filter options of a consumer allow clients to send. */
export interface FilterNames {
  /** The operators of each field. */
  readonly fields: object;
  readonly ordering: string;
  readonly search: string;
  /** `unknown` if neither the consumer nor its backends have kwargs. */
  readonly kwargs: unknown;
}

/** The kwargs of `list` that come from the filters. */
export type FilterKwargsOf<Entity, Names> = Names extends FilterNames
  ? WithFilter<Entity, Names['fields']> &
      WithOrdering<Names['ordering']> &
      WithSearch<Names['search']> &
      Names['kwargs']
  : unknown;

/** Whether the filters allow clients to send nothing. */
export type TakesNoFilter<Names> = Names extends FilterNames
  ? [keyof Names['fields'], Names['ordering'], Names['search'], unknown] extends [never, never, never, Names['kwargs']]
    ? true
    : false
  : true;

type WithFilter<Entity, Fields> = [keyof Fields] extends [never]
  ? unknown
  : { readonly filter?: { readonly [Path in keyof Fields]?: FilterOf<PathValue<Entity, Path>, Fields[Path]> } };

/** A single value, several values, or an object of operators. */
type FilterOf<Value, Operator> =
  | ('exact' extends Operator ? Item<Value> | Nothing<Value> : never)
  | ('in' extends Operator ? readonly (Item<Value> | Nothing<Value>)[] : never)
  | { readonly [Name in Operator & FilterOperator]?: Operands<Item<Value>, Nothing<Value>>[Name] };

type Nothing<Value> = Extract<Value, null>;

/** A single item; rows of a relation to many are named one by one. */
type Item<Value> = Value extends readonly (infer Each)[] ? Each : Exclude<Value, null>;

/** The value at the end of a path; it may be null if a relation on the path may be empty. */
type PathValue<Entity, Path> = Path extends keyof Entity
  ? FieldInput<Entity[Path]>
  : Path extends `${infer Head}.${infer Rest}`
    ? Head extends keyof Entity
      ? PathValue<TargetOf<Entity[Head]>, Rest> | Extract<FieldInput<Entity[Head]>, null>
      : never
    : never;

type OneOrMany<Value> = Value | readonly Value[];

type WithOrdering<Field extends string> = [Field] extends [never]
  ? unknown
  : { readonly ordering?: OneOrMany<Field | `-${Field}`> };

type WithSearch<Field extends string> = [Field] extends [never] ? unknown : { readonly search?: string };

/** The operators of each field that options declare. */
export type OperatorsOf<Fields> = Fields extends readonly (infer Name extends string)[]
  ? { readonly [Field in Name]: 'exact' | 'in' }
  : { readonly [Field in keyof Fields]: Fields[Field] extends readonly (infer Operator)[] ? Operator : never };

/** The further kwargs that `filters` and its backends allow. */
export type OwnFilterKwargs<Filters> = KwargsOfSchema<Filters> &
  (Filters extends { readonly backends: infer Backends } ? KwargsOfAll<Backends> : unknown);

type KwargsOfAll<Backends> = Backends extends readonly [infer First, ...infer Rest]
  ? KwargsOfSchema<First> & KwargsOfAll<Rest>
  : unknown;

type KwargsOfSchema<Owner> = Owner extends { readonly kwargs: infer Schema extends KwargsSchema }
  ? KwargsOf<Schema>
  : unknown;
