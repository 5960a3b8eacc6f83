import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { ConfigurationError, ValidationFailed } from '../errors.js';
import {
  isOwnColumn,
  isRelation,
  isToMany,
  type ModelOrder,
  type ModelPath,
  mayBeMissing,
  pathOf,
} from '../orm/model-paths.js';
import { isComparable, isText } from '../serializers/model-columns.js';
import { comparedValue, toPrimaryKey } from '../serializers/model-key.js';
import type { FilterOperator, FilterOptions } from './filter-types.js';
import { type Comparison, comparisonOf } from './model-comparison.js';
import { type EqualityTest, hasSeveralKeys, type RowFilter, type ValueTest } from './model-row-filter.js';

export type AnyFilterOptions = FilterOptions<string, string, string>;
type Kwargs = Readonly<Record<string, unknown>>;
/** A value that was checked, or why it is refused. */
type Checked<Value = unknown> = { readonly value: Value } | { readonly text: string };

/** A field that clients may filter by. */
interface FilterField {
  readonly path: ModelPath;
  readonly operators: readonly FilterOperator[];
  readonly comparison: Comparison;
  readonly mayBeNull: boolean;
}

/** The meaning of one operator for a field. */
type Asked = { readonly tests: readonly ValueTest[] } | { readonly filter: RowFilter };

const longestText = 200;
const notHeld = 'Subscriptions filter by columns of the row itself, not by columns of its relations.';
const everything: RowFilter = { kind: 'all', of: [] };

/** The operators of fields that are listed without operators. */
const usual: readonly FilterOperator[] = ['exact', 'in'];

/** The filters of one consumer: turns what a client sent into a filter and an order, or into the texts of its errors. */
export class ModelFilters {
  readonly #fields: ReadonlyMap<string, FilterField>;
  readonly #ordering: readonly string[];
  readonly #search: readonly ModelPath[];

  /** @throws ConfigurationError if a name does not lead to a column of its kind */
  constructor(meta: EntityMetadata, { fields = [], ordering = [], search = [] }: AnyFilterOptions) {
    this.#fields = new Map(operatorsOf(fields).map(([name, operators]) => [name, fieldOf(meta, name, operators)]));
    this.#ordering = ordering.map((name) => orderedPathOf(meta, name).text);
    this.#search = search.map((name) => searchedPathOf(meta, name));
  }

  /** @throws ValidationFailed */
  filter({ filter, search }: Kwargs): RowFilter {
    return { kind: 'all', of: [...this.#ofFields(filter), ...this.#ofWords(search)] };
  }

  /**
   * The filter of a subscription, on the fields that the row itself holds. A relation leads to other rows, whose changes do not reach the
   * subscription.
   *
   * @throws ValidationFailed
   */
  followed({ filter }: Kwargs): RowFilter {
    return { kind: 'all', of: this.#ofFields(filter, (name) => this.followedNames.includes(name)) };
  }

  get followedNames(): readonly string[] {
    return [...this.#fields].flatMap(([name, { path }]) => (isHeld(path) ? name : []));
  }

  /** @throws ValidationFailed */
  order({ ordering }: Kwargs): ModelOrder {
    if (ordering === undefined || this.#ordering.length === 0) return {};
    const names: unknown[] = Array.isArray(ordering) ? ordering : [ordering];
    return Object.fromEntries(
      names.map((name) => {
        const isDescending = typeof name === 'string' && name.startsWith('-');
        const field = isDescending ? name.slice(1) : name;
        if (typeof field !== 'string' || !this.#ordering.includes(field)) {
          throw ValidationFailed.of({ ordering: [unknownText(name, this.#ordering)] });
        }
        return [field, isDescending ? 'desc' : 'asc'];
      }),
    );
  }

  #ofFields(filter: unknown, isFollowed = (_name: string): boolean => true): readonly RowFilter[] {
    if (filter === undefined || this.#fields.size === 0) return [];
    if (!isObject(filter)) throw ValidationFailed.of({ filter: ['Invalid data. Expected an object.'] });
    const texts: Record<string, readonly string[]> = {};
    const filters = Object.entries(filter).map(([name, value]) => {
      const field = this.#fields.get(name);
      if (field && !isFollowed(name)) texts[`filter.${name}`] = [notHeld];
      else if (field) return filterOf(field, value, (operator, text) => (texts[`filter.${name}${operator}`] = [text]));
      else texts[`filter.${name}`] = [unknownText(name, [...this.#fields.keys()])];
      return everything;
    });
    if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
    return filters;
  }

  #ofWords(search: unknown): readonly RowFilter[] {
    if (search === undefined || this.#search.length === 0) return [];
    const checked = textOf(search);
    if ('text' in checked) throw ValidationFailed.of({ search: [checked.text] });
    const words = checked.value.split(/\s+/).filter(Boolean);
    return words.map((value) => ({
      kind: 'any',
      of: this.#search.map((path) => ({ kind: 'some', path, tests: [{ operator: 'icontains', value }] })),
    }));
  }
}

/** Whether the row itself holds the values of the path. */
function isHeld({ steps, last }: ModelPath): boolean {
  return steps.length === 0 && isOwnColumn(last);
}

const known = new WeakMap<AnyFilterOptions, WeakMap<EntityMetadata, ModelFilters>>();

/** The filters of a consumer's options, made once for each ORM. */
export function filtersOf(meta: EntityMetadata, options: AnyFilterOptions): ModelFilters {
  const byMeta = known.get(options) ?? new WeakMap<EntityMetadata, ModelFilters>();
  known.set(options, byMeta);
  const filters = byMeta.get(meta) ?? new ModelFilters(meta, options);
  byMeta.set(meta, filters);
  return filters;
}

// What a client sent for a field

/**
 * @param complain called with the operator, such as `.lt`, for an error in its operand, and with an empty text for an error of the field
 */
function filterOf(field: FilterField, sent: unknown, complain: (operator: string, text: string) => void): RowFilter {
  const operands = operandsOf(field, sent);
  const tests: ValueTest[] = [];
  const filters: RowFilter[] = [];
  for (const [operator, operand] of Object.entries(operands)) {
    const checked = isKnown(field, operator)
      ? asked(field, operator, operand)
      : { text: unknownText(operator, field.operators) };
    if ('text' in checked) complain(operands === sent ? `.${operator}` : '', checked.text);
    else if ('filter' in checked.value) filters.push(checked.value.filter);
    else tests.push(...checked.value.tests);
  }
  // The tests apply to one value: `between` needs a value between two bounds, not two values that each meet one bound.
  if (tests.length > 0) filters.push({ kind: 'some', path: field.path, tests });
  return { kind: 'all', of: filters };
}

/** The operators: `{"lt": 4}`, or a single value. A key of several columns is an object too, but names no operator. */
function operandsOf({ path: { last }, operators }: FilterField, sent: unknown): object {
  const names = isObject(sent) ? Object.keys(sent) : [];
  const isKey = hasSeveralKeys(last) && !names.some((name) => operators.includes(name as FilterOperator));
  if (isObject(sent) && !isKey) return sent;
  return Array.isArray(sent) && operators.includes('in') ? { in: sent } : { exact: sent };
}

function isKnown({ operators }: FilterField, name: string): name is FilterOperator {
  return operators.includes(name as FilterOperator);
}

function asked(field: FilterField, operator: FilterOperator, operand: unknown): Checked<Asked> {
  switch (operator) {
    case 'exact':
      return isAnyOf(field, oneValue(field, operand));
    case 'in':
      return isAnyOf(field, severalValues(field, operand));
    case 'not':
      return isNoneOf(field, Array.isArray(operand) ? severalValues(field, operand) : oneValue(field, operand));
    case 'is_null':
      if (typeof operand !== 'boolean') return { text: 'Must be a valid boolean.' };
      return { value: { filter: { path: field.path, ...(operand ? { kind: 'none' } : { kind: 'some', tests: [] }) } } };
    case 'between':
      return between(field, operand);
    case 'contains':
    case 'icontains':
    case 'starts_with':
    case 'istarts_with': {
      const checked = textOf(operand);
      return 'text' in checked ? checked : { value: { tests: [{ operator, value: checked.value }] } };
    }
    default: {
      const checked = boundOf(field, operand);
      return 'text' in checked ? checked : { value: { tests: [{ operator, value: checked.value }] } };
    }
  }
}

/** One of several values; null among them means that there is no value. */
function isAnyOf({ path }: FilterField, checked: Checked<EqualityTest | null>): Checked<Asked> {
  if ('text' in checked) return checked;
  if (checked.value === null) return { value: { filter: { kind: 'none', path } } };
  const { operator, value } = checked.value;
  if (operator === 'eq' || !value.includes(null)) return { value: { tests: [checked.value] } };
  const some: RowFilter = { kind: 'some', path, tests: [withoutNull(value)] };
  return { value: { filter: { kind: 'any', of: [some, { kind: 'none', path }] } } };
}

function isNoneOf({ path }: FilterField, checked: Checked<EqualityTest | null>): Checked<Asked> {
  if ('text' in checked) return checked;
  const isThere: RowFilter = { kind: 'some', path, tests: [] };
  if (checked.value === null) return { value: { filter: isThere } };
  const { operator, value } = checked.value;
  if (operator === 'eq' || !value.includes(null))
    return { value: { filter: { kind: 'none', path, test: checked.value } } };
  const isOther: RowFilter = { kind: 'none', path, test: withoutNull(value) };
  return { value: { filter: { kind: 'all', of: [isThere, isOther] } } };
}

function withoutNull(values: readonly unknown[]): EqualityTest {
  return { operator: 'in', value: values.filter((value) => value !== null) };
}

function between(field: FilterField, operand: unknown): Checked<Asked> {
  if (!Array.isArray(operand) || operand.length !== 2) return { text: 'Expected a list of two values.' };
  const [from, to] = operand.map((bound) => boundOf(field, bound));
  if (!from || !to) return { text: 'Expected a list of two values.' };
  if ('text' in from) return from;
  if ('text' in to) return to;
  return {
    value: {
      tests: [
        { operator: 'gte', value: from.value },
        { operator: 'lte', value: to.value },
      ],
    },
  };
}

function oneValue(field: FilterField, sent: unknown): Checked<EqualityTest | null> {
  const checked = checkedValue(field, sent);
  if ('text' in checked) return checked;
  return { value: checked.value === null ? null : { operator: 'eq', value: checked.value } };
}

function severalValues(field: FilterField, sent: unknown): Checked<EqualityTest> {
  if (!Array.isArray(sent)) return { text: 'Expected a list of items.' };
  const values: unknown[] = [];
  for (const each of sent) {
    const checked = checkedValue(field, each);
    if ('text' in checked) return checked;
    values.push(checked.value);
  }
  return { value: { operator: 'in', value: values } };
}

function checkedValue(field: FilterField, sent: unknown): Checked {
  if (sent === null) return field.mayBeNull ? { value: null } : { text: 'This field may not be null.' };
  return boundOf(field, sent);
}

/** A bound of a comparison; null is not allowed. */
function boundOf({ path: { last } }: FilterField, sent: unknown): Checked {
  if (sent === null) return { text: 'This field may not be null.' };
  if (last.targetMeta) {
    const key = toPrimaryKey(last.targetMeta, sent);
    return key === undefined ? { text: `${JSON.stringify(sent)} is not a key.` } : { value: key };
  }
  const checked = comparedValue(last, sent);
  // The ORM writes a number into the SQL, where PostgreSQL would read it with double precision.
  if ('text' in checked || !isSinglePrecision(last)) return checked;
  return { value: Math.fround(Number(checked.value)) };
}

function isSinglePrecision({ columnTypes }: EntityProperty): boolean {
  return /^(real|float4)/.test(columnTypes?.[0] ?? '');
}

function textOf(sent: unknown): Checked<string> {
  if (typeof sent !== 'string') return { text: 'Not a valid string.' };
  if (sent.includes('\u0000')) return { text: 'Null characters are not allowed.' };
  return sent.length > longestText
    ? { text: `Ensure this field has no more than ${longestText} characters.` }
    : { value: sent };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unknownText(name: unknown, known: readonly string[]): string {
  return `${JSON.stringify(name)} is not known here. Known names are ${known.join(', ')}.`;
}

// What a consumer declares

/** The operators of each field. */
export function operatorsOf(
  fields: NonNullable<AnyFilterOptions['fields']>,
): readonly (readonly [string, readonly FilterOperator[]])[] {
  if (isList(fields)) return fields.map((name) => [name, usual]);
  return Object.entries(fields).map(([name, operators = usual]) => [name, operators]);
}

function isList(fields: NonNullable<AnyFilterOptions['fields']>): fields is readonly string[] {
  return Array.isArray(fields);
}

/** The property of a column's values that each operator needs. */
const needs: Readonly<Record<FilterOperator, 'anything' | 'order' | 'text'>> = {
  exact: 'anything',
  in: 'anything',
  not: 'anything',
  is_null: 'anything',
  lt: 'order',
  lte: 'order',
  gt: 'order',
  gte: 'order',
  between: 'order',
  contains: 'text',
  icontains: 'text',
  starts_with: 'text',
  istarts_with: 'text',
};

const ownCondition = 'write the condition in filterQuery(query, context, kwargs), where you decide what it may say.';

function fieldOf(meta: EntityMetadata, name: string, operators: readonly FilterOperator[]): FilterField {
  const path = declaredPath(meta, name);
  const { last, steps } = path;
  if (!isRelation(last) && (!isOwnColumn(last) || !isComparable(last))) {
    const reason =
      'is to be filtered, but its values cannot be compared with those that clients send (JSON, a list, binary data).';
    throw fault(meta, name, reason, `Take it out of the fields, or ${ownCondition}`);
  }
  const comparison = comparisonOf(last);
  const mayBeNull = [...steps, last].some((prop) => mayBeMissing(prop) || isToMany(prop));
  for (const operator of operators) checkOperator(meta, name, operator, last, comparison);
  return { path, operators, comparison, mayBeNull };
}

function checkOperator(
  meta: EntityMetadata,
  name: string,
  operator: FilterOperator,
  prop: EntityProperty,
  { isOrdered, holdsText }: Comparison,
): void {
  const need = Object.hasOwn(needs, operator) ? needs[operator] : undefined;
  if (!need) {
    const reason = `has a filter "${operator}", which is not an operator.`;
    throw fault(meta, name, reason, `Name one of these: ${Object.keys(needs).join(', ')}.`);
  }
  if (need === 'anything') return;
  if (isRelation(prop)) {
    const [key = 'id'] = prop.targetMeta?.primaryKeys ?? [];
    throw fault(
      meta,
      name,
      `is a relation, but rows are not compared by "${operator}".`,
      `Name a column of it: "${name}.${key}".`,
    );
  }
  if (need === 'text' && !holdsText)
    throw fault(
      meta,
      name,
      `has a filter "${operator}", but does not hold text.`,
      `Take the operator out, or ${ownCondition}`,
    );
  if (need === 'order' && !isOrdered) {
    const reason = `has a filter "${operator}", but the order of its values is not the same in every database.`;
    throw fault(meta, name, reason, `Take the operator out, or ${ownCondition}`);
  }
}

function orderedPathOf(meta: EntityMetadata, name: string): ModelPath {
  const path = declaredPath(meta, name);
  const { last } = path;
  if (isToMany(last)) {
    const [key = 'id'] = last.targetMeta?.primaryKeys ?? [];
    throw fault(meta, name, 'is to order lists, but is a relation to many.', `Name a column of it: "${name}.${key}".`);
  }
  if (isOwnColumn(last) && (isRelation(last) || isComparable(last) || isSearchable(last))) return path;
  throw fault(
    meta,
    name,
    'is to order lists, but its values have no order (JSON, a list, binary data).',
    'Take it out of the ordering.',
  );
}

function isSearchable(prop: EntityProperty): boolean {
  return isOwnColumn(prop) && !prop.targetMeta && !prop.embedded && isText(prop);
}

function searchedPathOf(meta: EntityMetadata, name: string): ModelPath {
  const path = declaredPath(meta, name);
  if (isSearchable(path.last)) return path;
  throw fault(meta, name, 'is to be searched, but does not hold text.', 'Search in text columns.');
}

function declaredPath(meta: EntityMetadata, name: string): ModelPath {
  const path = pathOf(meta, name);
  if (path?.last.polymorphic) {
    const reason = 'refers to rows of several classes, and a key alone does not say of which.';
    throw fault(meta, name, reason, `Take it out, or ${ownCondition}`);
  }
  const isKnownColumn = path && (isRelation(path.last) || isOwnColumn(path.last));
  if (isKnownColumn) return path;
  const remedy = `Name columns, relations, and what they lead to: "project.team". Or ${ownCondition}`;
  throw fault(meta, name, 'is not a column of the model.', remedy);
}

function fault(meta: EntityMetadata, member: string, reason: string, remedy: string): ConfigurationError {
  return new ConfigurationError({ class: meta.className, member, reason, remedy });
}
