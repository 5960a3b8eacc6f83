import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { isToMany, type ModelPath, mayBeMissing } from '../orm/model-paths.js';
import { comparisonOf } from './model-comparison.js';

// What a client asked of rows, as data. It means the same as a condition of the ORM, and on a row in memory. The words:
// a path leads from a row to values; null, and a relation that leads nowhere, is no value.

/** What one value has to be. */
export type ValueTest =
  | EqualityTest
  | { readonly operator: 'lt' | 'lte' | 'gt' | 'gte'; readonly value: unknown }
  | { readonly operator: 'contains' | 'icontains' | 'starts_with' | 'istarts_with'; readonly value: string };

export type RowFilter =
  | { readonly kind: 'all' | 'any'; readonly of: readonly RowFilter[] }
  /** One and the same value passes all tests; without a test, there is a value. */
  | { readonly kind: 'some'; readonly path: ModelPath; readonly tests: readonly ValueTest[] }
  /** No value passes the test; without a test, there is no value. */
  | { readonly kind: 'none'; readonly path: ModelPath; readonly test?: EqualityTest };

export type EqualityTest =
  | { readonly operator: 'eq'; readonly value: unknown }
  | { readonly operator: 'in'; readonly value: readonly unknown[] };

// In SQL

/** Which rows of a model are there at all: the default filters of the ORM. Models without any are not in it. */
export type VisibleRows = ReadonlyMap<EntityMetadata, object>;

const allRows: VisibleRows = new Map();

/**
 * The condition of the rows that a filter lets through.
 *
 * @param visible of the models that `relatedTo` gives: a related row that is not there has no value
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
  // The ORM leaves out what its default filters hide where it joins a table, and not in a subquery.
  if (isToMany(step)) return { [name]: { $some: amongVisible(step, rest, tests, visible) } };
  if (rest.length > 0) return { [name]: amongVisible(step, rest, tests, visible) };
  if (tests.length === 0) return { [name]: { $ne: null } };
  const [only, ...others] = tests.map((test) => passes(step, test));
  return others.length === 0 ? (only as object) : { $and: [only, ...others] };
}

/** Of the rows that a relation leads to, those that there are and that pass. */
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

/** The rows of a relation to many, by their keys. */
function ofMembers({ targetMeta }: EntityProperty, tests: readonly ValueTest[]): object {
  const [key, ...others] = targetMeta?.getPrimaryProps() ?? [];
  if (!key || tests.length === 0) return {};
  const conditions = tests.map((test) => (others.length > 0 ? ofParts(test, (parts) => parts) : passes(key, test)));
  return conditions.length === 1 ? (conditions[0] as object) : { $and: conditions };
}

/** @param isHidden whether the row that has the step may be one that the ORM hides, so that all its columns are null */
function none(
  [step, ...rest]: readonly EntityProperty[],
  test: EqualityTest | undefined,
  visible: VisibleRows,
  isHidden = false,
): object {
  if (!step) return {};
  const { name } = step;
  // SQL says of what is null neither yes nor no.
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

/** The condition of a key that is an object of its parts. */
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
 * Whether a filter lets a row through; undefined where the row lacks something that decides it. The row has the names of the entity's
 * properties: columns as the entity, JSON or the driver has them, and of a type of the application's own as the entity; a relation to one as
 * a row or a key, and one to many as a list of them. Related rows that the ORM's default filters hide are not in it.
 */
export function lets(filter: RowFilter, row: object): boolean | undefined {
  return rowTest(filter)(row);
}

export type RowTest = (row: object) => boolean | undefined;

/** The same for many rows: what the filter compares with is made ready once. */
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

/** One that is decisive settles it, whatever the row does not tell. */
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

/** The values that a path leads to; undefined where the row does not have them. */
function valuesAt(row: object, { steps, last }: ModelPath): readonly unknown[] | undefined {
  let rows: readonly unknown[] = [row];
  for (const step of steps) {
    const values = valuesOf(rows, step);
    if (!values) return undefined;
    rows = values.map((value) => asRow(step, value));
  }
  return valuesOf(rows, last);
}

/** Null is none. */
function valuesOf(rows: readonly unknown[], prop: EntityProperty): readonly unknown[] | undefined {
  const values = rows.map((each) => Reflect.get(Object(each), prop.name) as unknown);
  if (values.includes(undefined)) return undefined;
  const there = values.filter((value) => value !== null);
  return isToMany(prop) ? there.flatMap((value) => [...(value as Iterable<unknown>)]) : there;
}

/** A key stands for a row of which nothing else is known. */
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

/** Rows are told apart by their keys. */
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

/** As PostgreSQL ignores case: character by character. */
function folded(value: unknown): string {
  return Array.from(String(value), (character) => {
    const [first = character] = character.toLowerCase();
    return first;
  }).join('');
}
