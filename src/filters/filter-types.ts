import type { FieldInput, FieldOf } from '../serializers/model-types.js';

/** What clients may narrow and order a list by: nothing that is not named here. */
export interface FilterOptions<Field extends string, Ordering extends string, Search extends string> {
  /** Columns, and relations by key: `"filter": {"archived": false, "host": [1, 2]}`. */
  readonly fields?: readonly Field[];
  /** Columns: `"ordering": "-name"`, `"ordering": ["host", "-name"]`. */
  readonly ordering?: readonly Ordering[];
  /** Text columns that have to contain every word, whatever its case: `"search": "red room"`. */
  readonly search?: readonly Search[];
}

/** A property that holds text. */
export type TextFieldOf<Entity> = {
  [Field in FieldOf<Entity>]: Exclude<Entity[Field], null | undefined> extends string ? Field : never;
}[FieldOf<Entity>];

/** The names that a consumer's filters have; never where it has none. */
export interface FilterNames {
  readonly fields: string;
  readonly ordering: string;
  readonly search: string;
}

/** What a client may send with `list`. */
export type FilterKwargsOf<Entity, Names> = Names extends FilterNames
  ? WithFilter<Entity, Names['fields']> & WithOrdering<Names['ordering']> & WithSearch<Names['search']>
  : unknown;

type WithFilter<Entity, Field extends string> = [Field] extends [never]
  ? unknown
  : { readonly filter?: { readonly [Name in Field & keyof Entity]?: OneOrMany<FieldInput<Entity[Name]>> } };

type OneOrMany<Value> = Value | readonly Value[];

type WithOrdering<Field extends string> = [Field] extends [never]
  ? unknown
  : { readonly ordering?: OneOrMany<Field | `-${Field}`> };

type WithSearch<Field extends string> = [Field] extends [never] ? unknown : { readonly search?: string };
