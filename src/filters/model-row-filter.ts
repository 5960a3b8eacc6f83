import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { isToMany, type ModelPath, mayBeMissing } from '../orm/model-paths.js';
import { comparisonOf } from './model-comparison.js';

// A client's filter, as data. It means the same as a condition of the ORM and as a test of a row in memory. A path leads from a row to
// values; null and an empty relation are no values.

/** A test of one value. */
export type ValueTest =
  | EqualityTest
  | { readonly operator: 'lt' | 'lte' | 'gt' | 'gte'; readonly value: unknown }
  | { readonly operator: 'contains' | 'icontains' | 'starts_with' | 'istarts_with'; readonly value: string };

export type RowFilter =
  | { readonly kind: 'all' | 'any'; readonly of: readonly RowFilter[] }
  /** One and the same value passes all tests. Without a test, there is a value. */
  | { readonly kind: 'some'; readonly path: ModelPath; readonly tests: readonly ValueTest[] }
  /** No value passes the test. Without a test, there is no value. */
  | { readonly kind: 'none'; readonly path: ModelPath; readonly test?: EqualityTest };

export type EqualityTest =
  | { readonly operator: 'eq'; readonly value: unknown }
  | { readonly operator: 'in'; readonly value: readonly unknown[] };

// In SQL

/** The rows of each model that the ORM's default filters show. Models without such filters are left out. */
export type VisibleRows = ReadonlyMap<EntityMetadata, object>;

const allRows: VisibleRows = new Map();

/**
 * The condition for the rows that pass a filter.
 *
 * @param visible for the models that `relatedTo` returns: a related row that is not visible has no value
 */
export function conditionOf(filter: RowFilter, visible = allRows): object {
  switch (filter.kind) {
    case 'all':
      return { $and: filter.of.map((each) => conditionOf(each, visible)) };
    case 'any':
      return { $or: filter.of.map((each) => conditionOf(each, visible)) };
    case 'some':
      return some([...filter.path.steps, filter.path.last], filter.tests, visible);
    case 'none':
      return none([...filter.path.steps, filter.path.last], filter.test, visible);
  }
}

/** The models of the relations in a filter. */
export function relatedTo(filter: RowFilter): readonly EntityMetadata[] {
  if ('of' in filter) return filter.of.flatMap(relatedTo);
  return [...filter.path.steps, filter.path.last].flatMap(({ targetMeta }) => targetMeta ?? []);
}

function some([step, ...rest]: readonly EntityProperty[], tests: readonly ValueTest[], visible: VisibleRows): object {
  if (!step) return {};
  const { name } = step;
  // Where the ORM joins a table, it leaves out the rows that its default filters hide; in a subquery it does not.
  if (isToMany(step)) return { [name]: { $some: amongVisible(step, rest, tests, visible) } };
  if (rest.length > 0) return { [name]: amongVisible(step, rest, tests, visible) };
  if (tests.length === 0) return { [name]: { $ne: null } };
  const [only, ...others] = tests.map((test) => passes(step, test));
  return others.length === 0 ? (only as object) : { $and: [only, ...others] };
}

/** The condition for the visible rows of a relation that pass. */
function amongVisible(
  step: EntityProperty,
  rest: readonly EntityProperty[],
  tests: readonly ValueTest[],
  visible: VisibleRows,
): object {
  const passing = rest.length > 0 ? some(rest, tests, visible) : ofMembers(step, tests);
  const there = step.targetMeta && visible.get(step.targetMeta);
  return there ? { $and: [passing, there] } : passing;
}

/** The condition for rows of a relation to many, by their keys. */
function ofMembers({ targetMeta }: EntityProperty, tests: readonly ValueTest[]): object {
  const [key, ...others] = targetMeta?.getPrimaryProps() ?? [];
  if (!key || tests.length === 0) return {};
  const conditions = tests.map((test) => (others.length > 0 ? ofParts(test, (parts) => parts) : passes(key, test)));
  return conditions.length === 1 ? (conditions[0] as object) : { $and: conditions };
}

/** @param isHidden whether the ORM may hide the row that has the step, so that all its columns are null */
function none(
  [step, ...rest]: readonly EntityProperty[],
  test: EqualityTest | undefined,
  visible: VisibleRows,
  isHidden = false,
): object {
  if (!step) return {};
  const { name } = step;
  // In SQL a comparison with null is neither true nor false.
  const isMissing = { [name]: null };
  const orMissing = (condition: object): object =>
    isHidden || mayBeMissing(step) ? { $or: [isMissing, condition] } : condition;
  if (isToMany(step)) return { [name]: { $none: amongVisible(step, rest, test ? [test] : [], visible) } };
  if (rest.length > 0) {
    const hides = step.targetMeta !== undefined && visible.has(step.targetMeta);
    return orMissing({ [name]: none(rest, test, visible, isHidden || hides) });
  }
  return test ? orMissing(fails(step, test)) : isMissing;
}

function passes(prop: EntityProperty, test: ValueTest): object {
  if (hasSeveralKeys(prop)) return ofParts(test, (parts) => ({ [prop.name]: parts }));
  return { [prop.name]: operandOf(test) };
}

function fails(prop: EntityProperty, { operator, value }: EqualityTest): object {
  if (!hasSeveralKeys(prop)) return { [prop.name]: operator === 'eq' ? { $ne: value } : { $nin: value } };
  const keys = operator === 'eq' ? [value] : value;
  const differs = (key: unknown): object => ({
    $or: Object.entries(key as object).map(([name, part]) => ({ [prop.name]: { [name]: { $ne: part } } })),
  });
  return { $and: keys.map(differs) };
}

/** The condition for a composite key, which is an object of its parts. */
function ofParts({ operator, value }: ValueTest, make: (parts: object) => object): object {
  return operator === 'in' ? { $or: value.map((key) => make(key as object)) } : make(value as object);
}

export function hasSeveralKeys({ targetMeta }: EntityProperty): boolean {
  return (targetMeta?.primaryKeys.length ?? 0) > 1;
}

function operandOf({ operator, value }: ValueTest): object {
  switch (operator) {
    case 'contains':
      return { $like: `%${literally(value)}%` };
    case 'icontains':
      return { $ilike: `%${literally(value)}%` };
    case 'starts_with':
      return { $like: `${literally(value)}%` };
    case 'istarts_with':
      return { $ilike: `${literally(value)}%` };
    default:
      return { [`$${operator}`]: value };
  }
}

function literally(text: string): string {
  return text.replace(/[\\%_]/g, (character) => `\\${character}`);
}

// In memory

/**
 * Whether a row passes a filter; undefined if the row lacks a value that decides it. The row has the entity's property names. Its columns
 * are values of the entity, of JSON or of the driver; those of a type of the application's own are the entity's. A relation to one is a row
 * or a key, a relation to many a list of them. Related rows that the ORM's default filters hide are left out.
 */
export function lets(filter: RowFilter, row: object): boolean | undefined {
  return rowTest(filter)(row);
}

export type RowTest = (row: object) => boolean | undefined;

/** A test for many rows: it prepares the filter's values once. */
export function rowTest(filter: RowFilter): RowTest {
  switch (filter.kind) {
    case 'all':
      return decided(filter.of.map(rowTest), false);
    case 'any':
      return decided(filter.of.map(rowTest), true);
    case 'some': {
      const passes = passesAll(filter.path.last, filter.tests);
      return (row) => valuesAt(row, filter.path)?.some(passes);
    }
    case 'none': {
      const passes = passesAll(filter.path.last, filter.test ? [filter.test] : []);
      return (row) => negated(valuesAt(row, filter.path)?.some(passes));
    }
  }
}

/** Combines tests: one decisive result is enough, even if the row lacks values for other tests. */
function decided(tests: readonly RowTest[], decisive: boolean): RowTest {
  return (row) => {
    const answers = tests.map((test) => test(row));
    if (answers.includes(decisive)) return decisive;
    return answers.includes(undefined) ? undefined : !decisive;
  };
}

function negated(answer: boolean | undefined): boolean | undefined {
  return answer === undefined ? undefined : !answer;
}

/** The values that a path leads to; undefined if the row lacks them. */
function valuesAt(row: object, { steps, last }: ModelPath): readonly unknown[] | undefined {
  let rows: readonly unknown[] = [row];
  for (const step of steps) {
    const values = valuesOf(rows, step);
    if (!values) return undefined;
    rows = values.map((value) => asRow(step, value));
  }
  return valuesOf(rows, last);
}

/** The values of a property of rows. Null is no value. */
function valuesOf(rows: readonly unknown[], prop: EntityProperty): readonly unknown[] | undefined {
  const values = rows.map((each) => Reflect.get(Object(each), prop.name) as unknown);
  if (values.includes(undefined)) return undefined;
  const there = values.filter((value) => value !== null);
  return isToMany(prop) ? there.flatMap((value) => [...(value as Iterable<unknown>)]) : there;
}

/** The value as a row. A key stands for a row of which nothing else is known. */
function asRow({ targetMeta }: EntityProperty, value: unknown): unknown {
  const [key] = targetMeta?.primaryKeys ?? [];
  return typeof value === 'object' || key === undefined ? value : { [key]: value };
}

function passesAll(prop: EntityProperty, tests: readonly ValueTest[]): (value: unknown) => boolean {
  const checks = tests.map((test) => checkOf(prop, test));
  return (value) => checks.every((check) => check(value));
}

function checkOf(prop: EntityProperty, test: ValueTest): (value: unknown) => boolean {
  if (prop.targetMeta) return keyCheck(prop.targetMeta, test);
  const { toComparable, compare } = comparisonOf(prop);
  switch (test.operator) {
    case 'eq':
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte': {
      const operand = toComparable(test.value);
      const holds = orders[test.operator];
      return (value) => holds(compare(toComparable(value), operand));
    }
    case 'in': {
      const operands = test.value.map(toComparable);
      return (value) => operands.some((operand) => compare(toComparable(value), operand) === 0);
    }
    case 'contains':
      return (value) => String(toComparable(value)).includes(test.value);
    case 'icontains':
      return (value) => folded(toComparable(value)).includes(folded(test.value));
    case 'starts_with':
      return (value) => String(toComparable(value)).startsWith(test.value);
    case 'istarts_with':
      return (value) => folded(toComparable(value)).startsWith(folded(test.value));
  }
}

const orders: Readonly<Record<'eq' | 'lt' | 'lte' | 'gt' | 'gte', (order: number) => boolean>> = {
  eq: (order) => order === 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
};

/** Tests rows by their keys. */
function keyCheck(meta: EntityMetadata, { operator, value }: ValueTest): (row: unknown) => boolean {
  const keys = operator === 'in' ? value : [value];
  const parts = meta.getPrimaryProps();
  const isKey = (row: unknown, key: unknown): boolean =>
    parts.every((part) => {
      const [own, other] = [row, key].map((each) => partOf(each, part));
      if (own === undefined || own === null) return false;
      return checkOf(part, { operator: 'eq', value: other })(own);
    });
  return (row) => keys.some((key) => isKey(row, key));
}

function partOf(key: unknown, { name }: EntityProperty): unknown {
  return typeof key === 'object' && key !== null ? Reflect.get(key, name) : key;
}

/** A text without case, character by character, as PostgreSQL ignores case. */
function folded(value: unknown): string {
  return Array.from(String(value), (character) => {
    const [first = character] = character.toLowerCase();
    return first;
  }).join('');
}
