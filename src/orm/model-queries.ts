import {
  type EntityManager,
  type EntityMetadata,
  type EntityProperty,
  helper,
  type Platform,
  QueryHelper,
  type RawQueryFragment,
  raw,
  Utils,
} from '@mikro-orm/core';
import { atEndOf, isOwnColumn, isToMany, type ModelOrder, type ModelPath, pathOf } from './model-paths.js';
import { findProp, hasColumn, keyColumns, quoter, type StoredRow, tableName } from './row.js';
import type { StatementConnection } from './sql-connection.js';
import { clientOf, type PlainRow, runRows, type Statement } from './statements.js';

/** Options of a read that must return what is stored: it asks the primary, and no cache of the ORM. */
export const asStored = { connectionType: 'write', cache: false } as const;

/** The columns that are read of each row. */
export interface Selection {
  /** Identifies the selection in this process. */
  readonly id: string;
  readonly meta: EntityMetadata;
  /** The SQL of each column; the table has the alias `t`. The columns of the primary key come first. */
  readonly columns: readonly string[];
  /** The number of columns of the key. */
  readonly keyLength: number;
}

export interface ModelQuery {
  /** A condition in MikroORM's form. */
  readonly where: object;
  readonly order?: ModelOrder;
  /**
   * Whether the order is reversed. Where a path leads to many values, the value that counts is the one that comes first in the order before
   * it was reversed.
   */
  readonly isTurned?: boolean;
  readonly offset?: number;
  readonly limit?: number;
}

/** The manager that plain rows are read through, and its state in this context. */
export interface Reader {
  readonly em: EntityManager;
  readonly transaction: object | undefined;
  readonly schema: string | undefined;
  /** Whether the context may have changes that are not flushed, or a database session with settings of its own. */
  readonly isUsed: boolean;
}

/** The SQL of a query, made once for all queries that differ only in their values. */
interface Prepared {
  readonly statement: Statement;
  /** Whether a row may come several times, because of a join to many rows. */
  readonly mayRepeat: boolean;
}

/** Queries that differ only in their conditions; statements are kept by the shape of the condition. */
interface QueryKind {
  /** The models of the relations that the order goes through. */
  readonly joined: readonly EntityMetadata[];
  readonly prepared: Map<string, Prepared>;
}

/** The part of MikroORM's query builder that we use. */
interface QueryBuilder {
  select(fields: unknown): this;
  count(field: undefined, distinct: boolean): this;
  where(condition: object): this;
  leftJoin(field: string, alias: string, on: object): this;
  orderBy(order: readonly object[]): this;
  limit(limit: number, offset: number): this;
  withSchema(schema: string | undefined): this;
  applyJoinedFilters(em: EntityManager, options: object): Promise<void>;
  processPopulateHint(): void;
  hasToManyJoins(): boolean;
  toQuery(): { readonly sql: string; readonly params: readonly unknown[] };
  execute(method: 'all', options: { readonly mapResults: false }): Promise<readonly Record<string, unknown>[]>;
}

/** The part of MikroORM's connection that logs a query. */
interface LoggingConnection {
  executeQuery<T>(query: string, run: () => Promise<T>, context: object): Promise<T>;
}

/** A condition on one row. */
interface SqlCondition {
  /** Undefined if every row matches. */
  readonly text: string | undefined;
  readonly values: readonly unknown[];
  /** Whether the condition reads rows of other tables. A statement that has waited for a lock sees those as they were before the wait. */
  readonly looksAtOthers: boolean;
}

/** Placeholders for limit and offset while a statement is built; no list is that long. */
const limitMark = 2_147_483_645;
const offsetMark = 2_147_483_646;

/** The most shapes of conditions that are kept; then all are built again. Clients decide on the shapes by what they send. */
const mostShapes = 1_000;

/**
 * Reads rows of models without making entities of them. MikroORM's query builder makes the SQL, with default filters, discriminators and
 * joins. A statement is built once for each shape of a condition and prepared under a name; lists of any length have one shape. MikroORM
 * itself builds and runs conditions without a shape (raw SQL, dates without a zone).
 */
export class ModelQueries {
  readonly #kinds = new WeakMap<object, Map<string, QueryKind>>();
  /** SQL of each condition by its shape; empty if every row matches, null if the SQL has a form that we do not know. */
  readonly #conditions = new Map<string, string | null>();

  /** @param hasNames whether statements are prepared under a name */
  constructor(readonly hasNames = true) {}

  /** Reads rows from the primary, never from a cache. Changes of the request that are not flushed are flushed first, as `em.find` does. */
  async rows(reader: Reader, selection: Selection, query: ModelQuery): Promise<readonly PlainRow[]> {
    const { meta, columns } = selection;
    const { order, isTurned = false, limit, offset = 0 } = query;
    const where = await this.#visible(reader, meta, query.where);
    const build = async (condition: object, isMarked: boolean): Promise<QueryBuilder> => {
      const fields = columns.map((sql, index) => raw(`${sql.replaceAll('?', '\\?')} as "c${index}"`));
      const builder = builderOf(reader, meta).select(fields).where(condition);
      if (order) builder.orderBy([...(await ormOrder(reader, meta, order, isTurned)), ...usualOrder(meta, order)]);
      if (limit !== undefined) builder.limit(isMarked ? limitMark : limit, isMarked ? offsetMark : offset);
      await builder.applyJoinedFilters(reader.em, {});
      return builder;
    };
    const pages = limit === undefined ? [] : [limit, offset];
    const kind = this.#kindOf(
      selection,
      order ? `${pages.length} ${isTurned} ${JSON.stringify(order)}` : `${pages.length}`,
      () => modelsOf(meta, order),
    );
    const { rows, mayRepeat } = await this.#run(reader, meta, where, kind, build, pages);
    return mayRepeat ? withoutRepeated(rows, selection.keyLength) : rows;
  }

  async count(reader: Reader, meta: EntityMetadata, condition: object): Promise<number> {
    const where = await this.#visible(reader, meta, condition);
    const build = async (narrowed: object): Promise<QueryBuilder> => {
      const builder = builderOf(reader, meta).where(narrowed);
      await builder.applyJoinedFilters(reader.em, {});
      builder.processPopulateHint();
      return builder.count(undefined, builder.hasToManyJoins());
    };
    const kind = this.#kindOf(meta, `${reader.em.name} ${reader.schema ?? ''}`, () => []);
    const { rows } = await this.#run(reader, meta, where, kind, build, []);
    return Number(rows[0]?.[0] ?? 0);
  }

  /**
   * A condition as SQL about the alias `t`, narrowed by the default filters of the ORM. The alias may stand for any rows with the table's
   * columns, such as a locked row. Undefined if the SQL has to be built again each time.
   *
   * @param first the number of its first parameter
   */
  async condition(
    reader: Reader,
    meta: EntityMetadata,
    condition: object,
    first: number,
  ): Promise<SqlCondition | undefined> {
    const where = await this.#visible(reader, meta, condition);
    const shape = shapeOf(reader.em, meta, where);
    if (!shape || (shape.joined.length > 0 && (await this.hasFilters(reader, shape.joined)))) return undefined;
    const { values, joined } = shape;
    const name = `${reader.em.name}|${reader.schema ?? ''}|condition ${meta.className} ${first}|${shape.text}`;
    const known = this.#conditions.get(name);
    const text = known === undefined ? conditionText(reader, meta, where, first) : known;
    if (this.#conditions.size >= mostShapes) this.#conditions.clear();
    this.#conditions.set(name, text);
    return text === null ? undefined : { text: text || undefined, values, looksAtOthers: joined.length > 0 };
  }

  /**
   * Whether a row, as the change log has it, matches a condition, given the other tables as they are now. Undefined if the condition has to
   * be built again each time, or if it may read a column that the log does not have or does not have as a JSON value.
   */
  async matches(
    reader: Reader,
    meta: EntityMetadata,
    { columns }: StoredRow,
    condition: object,
  ): Promise<boolean | undefined> {
    const asked = await this.condition(reader, meta, condition, 2);
    if (!asked) return undefined;
    const { values } = asked;
    if (asked.text === undefined) return true;
    const text = ofThisRow(reader, meta, asked.text);
    if (text === undefined) return undefined;
    const quote = quoter(reader.em);
    const row: Record<string, unknown> = {};
    for (const { fieldNames, columnTypes } of meta.props.filter(hasColumn))
      for (const [index, name] of fieldNames.entries()) {
        if (!text.includes(quote(name))) continue;
        const value = jsonOf(columns[name]);
        if (value === undefined || (isObject(value) && !columnTypes[index]?.startsWith('json'))) return undefined;
        row[name] = value;
      }
    const table = tableName(reader.em, meta, reader.schema);
    const sql = `select (${text}) is true as "found" from jsonb_populate_record(null::${table}, $1::jsonb) t`;
    const [answer] = await this.#send(reader, { name: 'judge', text: sql }, [JSON.stringify(row), ...values]);
    return answer?.[0] === true;
  }

  /** Whether a default filter of the ORM narrows one of these models in this context. */
  async hasFilters({ em }: Reader, metas: Iterable<EntityMetadata>): Promise<boolean> {
    for (const meta of metas) if (await defaultFilter(em, meta)) return true;
    return false;
  }

  /** Whether the ORM has a default filter for a model, whatever it leaves out at the moment. */
  async isFiltered(em: EntityManager, meta: EntityMetadata): Promise<boolean> {
    try {
      const everything = {};
      return (await em.applyFilters(meta.class, everything, {}, 'read')) !== everything;
    } catch {
      // The filter needs parameters, or a request, and there is none.
      return true;
    }
  }

  /** The default filters of those of these models that have any. */
  async filtersOf({ em }: Reader, metas: Iterable<EntityMetadata>): Promise<ReadonlyMap<EntityMetadata, object>> {
    const filters = new Map<EntityMetadata, object>();
    for (const meta of metas) {
      const filter = await defaultFilter(em, meta);
      if (filter) filters.set(meta, filter);
    }
    return filters;
  }

  /** The condition, narrowed by the default filters of the ORM. */
  async #visible({ em, isUsed }: Reader, meta: EntityMetadata, condition: object): Promise<object> {
    if (isUsed) await em.tryFlush(meta.class, {});
    return (await em.applyFilters(meta.class, condition, {}, 'read')) ?? {};
  }

  /** @param key what is selected: a selection, or the model for a count */
  #kindOf(key: object, name: string, joined: () => readonly EntityMetadata[]): QueryKind {
    const known = this.#kinds.get(key) ?? new Map<string, QueryKind>();
    this.#kinds.set(key, known);
    const kind = known.get(name) ?? { joined: joined(), prepared: new Map() };
    // The orders that a consumer declares are few, but their combinations are not.
    if (known.size >= mostShapes) known.clear();
    known.set(name, kind);
    return kind;
  }

  async #run(
    reader: Reader,
    meta: EntityMetadata,
    where: object,
    { joined, prepared }: QueryKind,
    build: (condition: object, isMarked: boolean) => Promise<QueryBuilder>,
    pages: readonly number[],
  ): Promise<{ readonly rows: readonly PlainRow[]; readonly mayRepeat: boolean }> {
    const { em, isUsed } = reader;
    const hasSession = isUsed && em.getTransactionSessionContext() !== undefined;
    const shape = hasSession ? undefined : shapeOf(em, meta, where);
    const related = shape ? [...joined, ...shape.joined] : joined;
    if (!shape || (related.length > 0 && (await this.hasFilters(reader, related))))
      return runByOrm(await build(where, false));
    const known = prepared.get(shape.text) ?? (await this.#prepare(em, meta, where, build));
    if (prepared.size >= mostShapes) prepared.clear();
    prepared.set(shape.text, known);
    return {
      rows: await this.#send(reader, known.statement, [...shape.values, ...pages]),
      mayRepeat: known.mayRepeat,
    };
  }

  async #prepare(
    em: EntityManager,
    meta: EntityMetadata,
    where: object,
    build: (condition: object, isMarked: boolean) => Promise<QueryBuilder>,
  ): Promise<Prepared> {
    const { marked, count } = withMarks(meta, where, 1);
    const builder = await build(marked, true);
    const { sql, params } = builder.toQuery();
    const marks = new Map<unknown, unknown>([
      [limitMark, raw(`$${count + 1}`)],
      [offsetMark, raw(`$${count + 2}`)],
    ]);
    const parameters = params.map((parameter) => marks.get(parameter) ?? parameter);
    const text = platformOf(em).formatQuery(sql, parameters);
    return { statement: { name: 'read', text }, mayRepeat: builder.hasToManyJoins() };
  }

  async #send(
    { em, transaction }: Reader,
    { name, text }: Statement,
    values: readonly unknown[],
  ): Promise<readonly PlainRow[]> {
    const connection = (transaction ?? clientOf(em)) as StatementConnection;
    const sql = em.config.get('onQuery')(text, [...values]);
    const statement = { text: sql, ...(this.hasNames && name !== undefined && { name }) };
    try {
      if (!em.config.getLogger().isEnabled('query')) return await runRows(connection, statement, values);
      const logging = em.getConnection('write') as unknown as LoggingConnection;
      const run = (): Promise<readonly PlainRow[]> => runRows(connection, statement, values);
      return await logging.executeQuery(sql, run, { query: sql, params: [...values], id: em.id });
    } catch (error) {
      throw em.getDriver().convertException(error as Error);
    }
  }
}

/**
 * Adapts a condition on rows of a class whose parents have tables of their own: it replaces the joined parent tables by the row itself
 * (`$1`). Undefined if the SQL joins them in another form than MikroORM's.
 */
function ofThisRow({ em, schema }: Reader, meta: EntityMetadata, condition: string): string | undefined {
  let text = condition;
  for (let level = meta.tptParent; level; level = level.tptParent) {
    const name = quoter(em)(level.tableName);
    const row = `jsonb_populate_record(null::${tableName(em, level, schema)}, $1::jsonb)`;
    const joined = new RegExp(
      ` join (?:"[^"]+"\\.)?${escaped(name)} (as ("[^"]+") on "[^"]+"\\.("[^"]+") = \\2\\.\\3(?= |$))`,
    );
    if (joined.test(text)) text = text.replace(joined, (_, alias: string) => ` join ${row} ${alias}`);
    else if (text.includes(name)) return undefined;
  }
  return text;
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** The driver's value of a column as JSON from which PostgreSQL reads the same value. */
function jsonOf(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value);
  return value instanceof Date ? value.toISOString() : value;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** The names of the filters that the ORM applies to each query of a model, without filters that were added to an entity manager. */
export function defaultFiltersOf(em: EntityManager, meta: EntityMetadata): readonly string[] {
  const sources = [em.config.get('filters') as EntityMetadata['filters'], meta.filters];
  return sources.flatMap((source) => QueryHelper.getActiveFilters(meta, {}, source).map(({ name }) => name));
}

function conditionText(reader: Reader, meta: EntityMetadata, where: object, first: number): string | null {
  const { marked } = withMarks(meta, where, first);
  const { sql, params } = builderOf(reader, meta)
    .select([raw('1')])
    .where(marked)
    .toQuery();
  return conditionIn(platformOf(reader.em).formatQuery(sql, [...params]));
}

/** The condition after the WHERE of a query; empty if there is none. Joined tables become a subquery for each row. */
function conditionIn(sql: string): string | null {
  const found = /^select 1 from (?:"[^"]+"\.)?"[^"]+" as "t"((?: (?:left|inner) join .*?)?)(?: where (.*))?$/s.exec(
    sql,
  );
  if (!found) return null;
  const [, joins = '', condition = ''] = found;
  if (joins === '') return condition;
  return `exists (select from (select) as one${joins}${condition === '' ? '' : ` where ${condition}`})`;
}

async function defaultFilter(em: EntityManager, meta: EntityMetadata): Promise<object | undefined> {
  const everything = {};
  const narrowed = await em.applyFilters(meta.class, everything, {}, 'read');
  return narrowed === everything ? undefined : narrowed;
}

async function runByOrm(builder: QueryBuilder) {
  const rows = await builder.execute('all', { mapResults: false });
  return { rows: rows.map((row) => Object.values(row)), mayRepeat: builder.hasToManyJoins() };
}

function builderOf({ em, schema }: Reader, meta: EntityMetadata, alias = 't'): QueryBuilder {
  const make = Reflect.get(em, 'createQueryBuilder') as (...parts: unknown[]) => QueryBuilder;
  const builder = make.call(em, meta.class, alias, 'write');
  return schema === undefined ? builder : builder.withSchema(schema);
}

/**
 * An order in MikroORM's form.
 *
 * @param isTurned as in `ModelQuery`
 */
export function ormOrder(
  reader: Reader,
  meta: EntityMetadata,
  order: ModelOrder,
  isTurned = false,
): Promise<readonly object[]> {
  return Promise.all(
    Object.entries(order).map(async ([name, direction], index, all) => {
      const path = pathOf(meta, name);
      if (!path) return { [name]: direction };
      // If the model has a default order, the ORM takes each relation of an order only once.
      const isRepeated = all.slice(0, index).some(([other]) => headOf(other) === headOf(name));
      if (isRepeated || path.steps.some(isToMany) || (await mayBeHidden(reader, path))) {
        const first = await firstValue(reader, meta, path, isTurned ? turned(direction) : direction);
        return { [asRaw(first)]: direction };
      }
      return atEndOf(path.steps, { [path.last.name]: direction });
    }),
  );
}

export function turned(direction: ModelOrder[string]): ModelOrder[string] {
  return direction === 'asc' ? 'desc' : 'asc';
}

/**
 * Whether default filters of the ORM hide rows of a relation on the path: the ORM does not apply them where it joins a table for an order.
 */
async function mayBeHidden({ em }: Reader, { steps }: ModelPath): Promise<boolean> {
  for (const { targetMeta } of steps) if (targetMeta && (await defaultFilter(em, targetMeta))) return true;
  return false;
}

function headOf(path: string): string | undefined {
  return path.split('.')[0];
}

/** The SQL of a row's value, for an alias of the table. */
export type ValueSql = (alias: string) => string;

/** The first of the many values that a path leads to: a join would return the row once for each value. */
export async function firstValue(
  reader: Reader,
  meta: EntityMetadata,
  { steps, last }: ModelPath,
  direction: ModelOrder[string],
): Promise<ValueSql> {
  const quote = quoter(reader.em);
  const keys = keyColumns(meta);
  const isSameRow = keys.map((key) => `o0.${quote(key)} = ${outerTable}.${quote(key)}`).join(' and ');
  const value = `o${steps.length}.${quote(last.fieldNames[0] ?? '')}`;
  // `min` and `max` do not take booleans and uuids.
  const first = `(array_agg(${value} order by ${value} ${direction} nulls last))[1]`;
  const builder = builderOf(reader, meta, 'o0').select(raw(first)).where(raw(isSameRow));
  for (const [index, { name, targetMeta }] of steps.entries()) {
    const there = targetMeta && (await defaultFilter(reader.em, targetMeta));
    builder.leftJoin(`o${index}.${name}`, `o${index + 1}`, there ?? {});
  }
  const { sql, params } = builder.toQuery();
  const text = platformOf(reader.em).formatQuery(sql, params);
  return (alias) => `(${text.replaceAll(outerTable, quote(alias))})`;
}

/** The value as a key of MikroORM's conditions and orders. */
export function asRaw(value: ValueSql): RawQueryFragment & symbol {
  return raw((alias: string) => value(alias).replaceAll('?', '\\?'));
}

/** A name for the table of the outer query, inside a subquery. */
const outerTable = 'signalbox_outer';

/** The model's default order, which follows the order of a query. */
function usualOrder({ orderBy }: EntityMetadata, order: ModelOrder): readonly object[] {
  const usual: readonly object[] = orderBy ? QueryHelper.mergeOrderBy(orderBy) : [];
  return usual.filter((part) => Object.keys(part).every((name) => !Object.hasOwn(order, name)));
}

/** The models of the relations that an order goes through. */
function modelsOf(meta: EntityMetadata, order: ModelOrder = {}): readonly EntityMetadata[] {
  const steps = Object.keys(order).flatMap((path) => pathOf(meta, path)?.steps ?? []);
  return steps.flatMap(({ targetMeta }) => targetMeta ?? []);
}

function platformOf(em: EntityManager): Platform {
  return em.getDriver().getPlatform();
}

/** Keeps the first row of each key. */
function withoutRepeated(rows: readonly PlainRow[], keyLength: number): readonly PlainRow[] {
  const byKey = new Map<string, PlainRow>();
  for (const row of rows) {
    const key = JSON.stringify(row.slice(0, keyLength));
    if (!byKey.has(key)) byKey.set(key, row);
  }
  return [...byKey.values()];
}

// The shape of a condition: the condition without its values

interface Shape {
  readonly text: string;
  /** Values in the driver's form. */
  readonly values: readonly unknown[];
  /** The models of the relations that the condition goes through. */
  readonly joined: readonly EntityMetadata[];
}

interface Walker {
  readonly value: (prop: EntityProperty, value: unknown) => unknown;
  /** @param all whether the column is compared with all of the values, or with any */
  readonly list: (prop: EntityProperty, values: readonly unknown[], all: 'all' | 'any') => unknown;
  readonly text: (part: string, joined?: EntityMetadata) => void;
}

/** Thrown for a condition that has to be built again each time. */
const shapeless = Symbol('shapeless');

const comparisons = new Set(['$eq', '$ne', '$gt', '$gte', '$lt', '$lte', '$like', '$ilike', '$in', '$nin']);
const ofCollections = new Set(['$some', '$none', '$every']);

function shapeOf(em: EntityManager, meta: EntityMetadata, where: object): Shape | undefined {
  const values: unknown[] = [];
  const joined: EntityMetadata[] = [];
  let text = '';
  const platform = platformOf(em);
  const walker: Walker = {
    value: (prop, value) => values.push(parameterOf(prop, value, platform)),
    list: (prop, list) => values.push(list.map((value) => parameterOf(prop, value, platform))),
    text: (part, target) => {
      text += part;
      if (target) joined.push(target);
    },
  };
  try {
    walk(meta, where, walker);
  } catch (thrown) {
    if (thrown === shapeless) return undefined;
    throw thrown;
  }
  return { text, values, joined };
}

/** The condition with a parameter of the statement in place of each value, and the number of parameters. */
function withMarks(meta: EntityMetadata, where: object, first: number) {
  let count = 0;
  const mark = (): string => `$${first + count++}`;
  const marked = walk(meta, where, {
    value: () => raw(mark()),
    list: (_, __, all) => raw(`${all}(${mark()})`),
    text: () => {},
  });
  return { marked: marked as object, count };
}

/** Walks through a condition and returns it with other values. */
function walk(meta: EntityMetadata, condition: unknown, walker: Walker): unknown {
  if (!Utils.isPlainObject(condition) || Object.getOwnPropertySymbols(condition).length > 0) throw shapeless;
  walker.text('{');
  const walked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(condition)) {
    walker.text(`${JSON.stringify(name)}:`);
    walked[name] = walkMember(meta, name, value, walker);
  }
  walker.text('}');
  return walked;
}

function walkMember(meta: EntityMetadata, name: string, value: unknown, walker: Walker): unknown {
  if (name === '$and' || name === '$or') {
    if (!Array.isArray(value)) throw shapeless;
    walker.text(`[${value.length}`);
    return value.map((each) => walk(meta, each, walker));
  }
  if (name === '$not' || ofCollections.has(name)) return walk(meta, value, walker);
  const prop = findProp(meta, name);
  if (!prop || prop.embedded || prop.kind === 'embedded' || prop.formula || prop.polymorphic) throw shapeless;
  // Comparing a key that the row itself does not hold takes a join.
  if (prop.targetMeta && !isOwnColumn(prop)) walker.text('', prop.targetMeta);
  if (Array.isArray(value)) return Object.fromEntries([walkOperator(prop, '$in', value, walker)]);
  if (!Utils.isPlainObject(value)) return walkValue(prop, value, walker);
  const operators = Object.entries(value);
  if (operators.length > 0 && operators.every(([operator]) => comparisons.has(operator))) {
    const walked = operators.map(([operator, operand]) => walkOperator(prop, operator, operand, walker));
    const byOperator = Object.fromEntries(walked);
    if (Object.keys(byOperator).length < walked.length) throw shapeless;
    return byOperator;
  }
  if (!prop.targetMeta || operators.length === 0) throw shapeless;
  walker.text('>', prop.targetMeta);
  return walk(prop.targetMeta, value, walker);
}

/** A list is one parameter, `= any($1)`: otherwise each length would be a statement of its own. */
function walkOperator(
  prop: EntityProperty,
  operator: string,
  operand: unknown,
  walker: Walker,
): readonly [string, unknown] {
  walker.text(operator);
  if (operator !== '$in' && operator !== '$nin') return [operator, walkValue(prop, operand, walker)];
  if (!Array.isArray(operand) || operand.includes(null)) throw shapeless;
  walker.text('[?],');
  return operator === '$in' ? ['$eq', walker.list(prop, operand, 'any')] : ['$ne', walker.list(prop, operand, 'all')];
}

function walkValue(prop: EntityProperty, value: unknown, walker: Walker): unknown {
  if (value === null) {
    walker.text('null,');
    return null;
  }
  walker.text('?,');
  return walker.value(prop, value);
}

/** @throws `shapeless` for a value that the database might read differently than MikroORM would write it into the SQL */
function parameterOf(prop: EntityProperty, value: unknown, platform: Platform): unknown {
  if (prop.targetMeta) {
    const [key, ...others] = prop.targetMeta.getPrimaryProps();
    if (!key || others.length > 0 || prop.targetKey) throw shapeless;
    return parameterOf(key, Utils.isEntity<object>(value, true) ? helper(value).getPrimaryKey() : value, platform);
  }
  const { customType } = prop;
  if (value === undefined || Array.isArray(value) || customType?.convertToDatabaseValueSQL) throw shapeless;
  const converted: unknown = customType
    ? customType.convertToDatabaseValue(value, platform, { fromQuery: true, key: prop.name, mode: 'query' })
    : value;
  const column = prop.columnTypes?.[0] ?? '';
  if (typeof converted === 'string' && !column.startsWith('json')) return converted;
  if (typeof converted === 'boolean' && column.startsWith('bool')) return converted;
  if (typeof converted === 'bigint' && column.startsWith('bigint')) return String(converted);
  if (typeof converted === 'number' && fits(converted, column)) return converted;
  if (converted instanceof Date && hasZone(column) && isPlainYear(converted)) return converted.toISOString();
  throw shapeless;
}

/**
 * Whether a number is in the range of its column: a parameter takes the type of the column, but a number in the SQL text has a type of its
 * own.
 */
function fits(value: number, column: string): boolean {
  if (/^(int|serial|bigint|bigserial)/.test(column)) return Number.isInteger(value) && Math.abs(value) < 2_147_483_648;
  if (/^(smallint|smallserial|int2)/.test(column)) return Number.isInteger(value) && Math.abs(value) < 32_768;
  return /^(numeric|decimal|double)/.test(column) && Number.isFinite(value);
}

/** Whether the column has a time zone. Without one, the session's time zone decides what a date means. */
function hasZone(column: string): boolean {
  return /^timestamp(tz|.* with time zone)/.test(column);
}

/** Whether the year has four digits; PostgreSQL writes other years in a form of its own. */
function isPlainYear(date: Date): boolean {
  const year = date.getUTCFullYear();
  return year > 0 && year < 10_000;
}
