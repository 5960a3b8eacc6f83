import type { KwargsOf, KwargsSchema } from '../kwargs/kwargs-checker.js';
import type { FieldInput, FieldOf, ReadPath, TargetOf } from '../serializers/model-types.js';
import type { FilterBackendClass } from './model-filter-backend.js';

/** What clients may narrow and order a list by: nothing that is not named here. */
export interface FilterOptions<Field extends string, Ordering extends string, Search extends string> {
  /**
   * Columns, relations by key, and what relations lead to. A list of them takes one value or several: `['archived', 'project.team']` is
   * `"filter": {"archived": false, "project.team": [1, 2]}`. An object names the operators of each: `{ due: ['lt', 'is_null'] }` is
   * `"filter": {"due": {"lt": "2026-01-01"}}`.
   */
  readonly fields?: FilterFields<Field>;
  /** Columns, also of relations: `"ordering": "-name"`, `"ordering": ["host.username", "-name"]`. */
  readonly ordering?: readonly Ordering[];
  /** Text columns, one of which has to contain each word, whatever its case: `"search": "red room"`. */
  readonly search?: readonly Search[];
  /** What else clients may send with `list`: the third parameter of `filterQuery`. */
  readonly kwargs?: KwargsSchema;
  /** Providers that narrow the rows of this consumer, in this order, behind its `filterQuery`. */
  readonly backends?: readonly FilterBackendClass[];
}

export type FilterFields<Field extends string> =
  | readonly Field[]
  | { readonly [Name in Field]?: readonly FilterOperator[] };

/** The operators of a filter field: `{"filter": {"due": {"lt": "2026-01-01"}}}`. */
export type FilterOperator = keyof Operands<unknown, unknown>;

/** What a client sends for each operator. */
interface Operands<Value, Nothing> {
  readonly exact: Value | Nothing;
  readonly in: readonly (Value | Nothing)[];
  /** Neither the value nor, where it is a list, one of them. */
  readonly not: Value | Nothing | readonly (Value | Nothing)[];
  readonly lt: Value;
  readonly lte: Value;
  readonly gt: Value;
  readonly gte: Value;
  /** From the first value to the second, with both. */
  readonly between: readonly [from: Value, to: Value];
  readonly contains: string;
  /** Whatever its case. */
  readonly icontains: string;
  readonly starts_with: string;
  /** Whatever its case. */
  readonly istarts_with: string;
  readonly is_null: boolean;
}

/** A property that holds text. */
export type TextFieldOf<Entity> = {
  [Field in FieldOf<Entity>]: Exclude<Entity[Field], null | undefined> extends string ? Field : never;
}[FieldOf<Entity>];

/** A property, or one of what relations lead to: `name`, `labels`, `project.team`. */
export type FilterPath<Entity> = FieldOf<Entity> | ReadPath<Entity>;

/** The same, of text. What lies behind two relations is checked at start-up. */
export type TextPath<Entity> =
  | TextFieldOf<Entity>
  | {
      [Field in FieldOf<Entity>]: [TargetOf<Entity[Field]>] extends [never]
        ? never
        : `${Field}.${TextFieldOf<TargetOf<Entity[Field]>>}` | `${Field}.${string}.${string}`;
    }[FieldOf<Entity>];

/** What the options of a consumer's filters let clients send. */
export interface FilterNames {
  /** The operators of each field. */
  readonly fields: object;
  readonly ordering: string;
  readonly search: string;
  /** `unknown` where neither the consumer nor its backends have kwargs. */
  readonly kwargs: unknown;
}

/** What a client may send with `list`. */
export type FilterKwargsOf<Entity, Names> = Names extends FilterNames
  ? WithFilter<Entity, Names['fields']> &
      WithOrdering<Names['ordering']> &
      WithSearch<Names['search']> &
      Names['kwargs']
  : unknown;

/** Whether the filters let clients send nothing. */
export type TakesNoFilter<Names> = Names extends FilterNames
  ? [keyof Names['fields'], Names['ordering'], Names['search'], unknown] extends [never, never, never, Names['kwargs']]
    ? true
    : false
  : true;

type WithFilter<Entity, Fields> = [keyof Fields] extends [never]
  ? unknown
  : { readonly filter?: { readonly [Path in keyof Fields]?: FilterOf<PathValue<Entity, Path>, Fields[Path]> } };

/** A value alone, several of them, or an object of operators. */
type FilterOf<Value, Operator> =
  | ('exact' extends Operator ? Item<Value> | Nothing<Value> : never)
  | ('in' extends Operator ? readonly (Item<Value> | Nothing<Value>)[] : never)
  | { readonly [Name in Operator & FilterOperator]?: Operands<Item<Value>, Nothing<Value>>[Name] };

type Nothing<Value> = Extract<Value, null>;

/** Rows of a relation to many are named one by one. */
type Item<Value> = Value extends readonly (infer Each)[] ? Each : Exclude<Value, null>;

/** The value at the end of a path; null too where a relation on the way may lead nowhere. */
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

/** What `filters` and the backends in it let clients send beside filters. */
export type OwnFilterKwargs<Filters> = KwargsOfSchema<Filters> &
  (Filters extends { readonly backends: infer Backends } ? KwargsOfAll<Backends> : unknown);

type KwargsOfAll<Backends> = Backends extends readonly [infer First, ...infer Rest]
  ? KwargsOfSchema<First> & KwargsOfAll<Rest>
  : unknown;

type KwargsOfSchema<Owner> = Owner extends { readonly kwargs: infer Schema extends KwargsSchema }
  ? KwargsOf<Schema>
  : unknown;
