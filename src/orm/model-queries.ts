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
import { hasColumn, keyColumns, quoter, type StoredRow, tableName } from './row.js';
import { clientOf, type PlainRow, runRows, type Statement, type StatementConnection } from './statements.js';

/** How entities are read where what they show has to be what is stored: from the primary, and not from a cache of the ORM. */
export const asStored = { connectionType: 'write', cache: false } as const;

/** What is read of each row. */
export interface Selection {
  /** Tells it from every other selection of this process. */
  readonly id: string;
  readonly meta: EntityMetadata;
  /** SQL of each column; the table has the alias `t`. The columns of the primary key come first. */
  readonly columns: readonly string[];
  /** How many columns the key has. */
  readonly keyLength: number;
}

export interface ModelQuery {
  /** A condition as MikroORM takes it. */
  readonly where: object;
  readonly order?: ModelOrder;
  /** Whether the order is another one that is turned around: of many values, the one counts that comes first in that one. */
  readonly isTurned?: boolean;
  readonly offset?: number;
  readonly limit?: number;
}

/** The manager that plain rows are read through, and what it stands for in this context. */
export interface Reader {
  readonly em: EntityManager;
  readonly transaction: object | undefined;
  readonly schema: string | undefined;
  /** Whether the context may have changed rows that are not flushed, or have a session of the database of its own. */
  readonly isUsed: boolean;
}

/** A query's SQL, made once for all queries that differ in their values only. */
interface Prepared {
  readonly statement: Statement;
  /** A join to many may give a row several times. */
  readonly mayRepeat: boolean;
}

/** Queries that differ in their conditions only: by the shapes of these. */
interface QueryKind {
  /** The models of the relations that its order goes through. */
  readonly joined: readonly EntityMetadata[];
  readonly prepared: Map<string, Prepared>;
}

/** As much of MikroORM's query builder as is used. */
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

/** As much of MikroORM's connections as logs a query. */
interface LoggingConnection {
  executeQuery<T>(query: string, run: () => Promise<T>, context: object): Promise<T>;
}

/** A condition on one row. */
interface SqlCondition {
  /** Undefined for one that every row fulfils. */
  readonly text: string | undefined;
  readonly values: readonly unknown[];
  /** Whether rows of other tables decide, which a statement that has waited for a lock sees as they were before. */
  readonly looksAtOthers: boolean;
}

/** Stand for the limit and the offset while a statement is made; no list is that long. */
const limitMark = 2_147_483_645;
const offsetMark = 2_147_483_646;

/** What clients send decides on the shapes of conditions: with more than these, all are made anew. */
const mostShapes = 1_000;

/**
 * Reads rows of models without making entities of them. The conditions are MikroORM's, and so is the SQL: its query builder makes it, with
 * default filters, discriminators and joins. A statement is made once for each shape of a condition, and prepared under a name; lists of any
 * length are of one shape. What has none (raw SQL, dates without a zone) is built and run by MikroORM itself.
 */
export class ModelQueries {
  readonly #kinds = new WeakMap<object, Map<string, QueryKind>>();
  /** Empty for one that every row fulfils, null for one of a form that is not known. */
  readonly #conditions = new Map<string, string | null>();

  /** @param hasNames whether statements are prepared under a name */
  constructor(readonly hasNames = true) {}

  /** Always from the primary, and never from a cache. What the request has changed and not flushed is flushed first, as `em.find` does. */
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
   * A condition, narrowed by the default filters of the ORM, as SQL about the alias `t`, which stands for any rows with the columns of the
   * table: one that is locked, for example. Undefined where it has to be built anew each time.
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
   * Whether a row as the change log has it is one of those of a condition, as other tables are now. Undefined where the condition has to be
   * built anew each time, or may ask for a column that the log does not have, or has as no value of JSON.
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

  /** Whether a default filter of the ORM leaves out rows of one of these models. */
  async hasFilters({ em }: Reader, metas: Iterable<EntityMetadata>): Promise<boolean> {
    for (const meta of metas) if (await defaultFilter(em, meta)) return true;
    return false;
  }

  /** Whether the ORM has a default filter for a model, whatever that leaves out now. */
  async isFiltered(em: EntityManager, meta: EntityMetadata): Promise<boolean> {
    try {
      const everything = {};
      return (await em.applyFilters(meta.class, everything, {}, 'read')) !== everything;
    } catch {
      // It needs parameters, or a request, and there is none.
      return true;
    }
  }

  /** The default filters of these models, of those that have any. */
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

  /** @param key what is selected: a selection, or for a count the model */
  #kindOf(key: object, name: string, joined: () => readonly EntityMetadata[]): QueryKind {
    const known = this.#kinds.get(key) ?? new Map<string, QueryKind>();
    this.#kinds.set(key, known);
    const kind = known.get(name) ?? { joined: joined(), prepared: new Map() };
    // The orders of a list are as many as its consumer declares, and their combinations are not.
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
 * A condition on rows of a class whose parents have tables of their own, with the row itself (`$1`) in place of what is joined of these.
 * Undefined where it joins them in another form than MikroORM does.
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

/** A column as the driver has it, as JSON that PostgreSQL reads the same value from. */
function jsonOf(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (typeof value === 'bigint' || (typeof value === 'number' && !Number.isFinite(value))) return String(value);
  return value instanceof Date ? value.toISOString() : value;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

/** The names of the filters that the ORM applies to each query of a model, without those that were added to an entity manager. */
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

/** What stands behind the WHERE of a query; empty where there is none. What is joined to the table is looked up for each of its rows. */
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

/** An order, as the ORM takes it. @param isTurned as `ModelQuery` has it */
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
      // The ORM takes each relation of an order once, where the model has an order by default.
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

/** Whether default filters of the ORM hide rows on the way: it does not ask them where it joins a table for an order. */
async function mayBeHidden({ em }: Reader, { steps }: ModelPath): Promise<boolean> {
  for (const { targetMeta } of steps) if (targetMeta && (await defaultFilter(em, targetMeta))) return true;
  return false;
}

function headOf(path: string): string | undefined {
  return path.split('.')[0];
}

/** SQL of a value of a row, by the alias of its table. */
export type ValueSql = (alias: string) => string;

/** Of the many values that a path leads to, the one that comes first: a join would give the row once for each of them. */
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
  // Booleans and uuids have no least and no greatest value by `min` and `max`.
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

/** As a key of a condition or an order of MikroORM. */
export function asRaw(value: ValueSql): RawQueryFragment & symbol {
  return raw((alias: string) => value(alias).replaceAll('?', '\\?'));
}

/** Stands for the table of the query around another one. */
const outerTable = 'signalbox_outer';

/** The order that the model has by default, behind that of a query. */
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

/** The first of each, by the columns of the key. */
function withoutRepeated(rows: readonly PlainRow[], keyLength: number): readonly PlainRow[] {
  const byKey = new Map<string, PlainRow>();
  for (const row of rows) {
    const key = JSON.stringify(row.slice(0, keyLength));
    if (!byKey.has(key)) byKey.set(key, row);
  }
  return [...byKey.values()];
}

// The shape of a condition: what it is without its values

interface Shape {
  readonly text: string;
  /** As the driver takes them. */
  readonly values: readonly unknown[];
  /** The models of the relations that it goes through. */
  readonly joined: readonly EntityMetadata[];
}

interface Walker {
  readonly value: (prop: EntityProperty, value: unknown) => unknown;
  /** @param all whether the column is compared with all of them, or with any */
  readonly list: (prop: EntityProperty, values: readonly unknown[], all: 'all' | 'any') => unknown;
  readonly text: (part: string, joined?: EntityMetadata) => void;
}

/** Thrown by a walk through a condition that has to be built anew each time. */
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

/** The condition with a parameter of the statement in place of each value, and how many there are. */
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

/** The condition with other values. */
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
  const prop = meta.properties[name as never] as EntityProperty | undefined;
  if (!prop || prop.embedded || prop.kind === 'embedded' || prop.formula || prop.polymorphic) throw shapeless;
  // To compare the key of a row that does not hold it is to join the other one.
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

/** A list is one parameter, `= any($1)`: else each length of it would be a statement of its own. */
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

/** @throws `shapeless` for what the database might take for something else than MikroORM would write into the SQL */
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

/** The parameter of a statement takes the type of the column that it is compared with; a number in its text has a type of its own. */
function fits(value: number, column: string): boolean {
  if (/^(int|serial|bigint|bigserial)/.test(column)) return Number.isInteger(value) && Math.abs(value) < 2_147_483_648;
  if (/^(smallint|smallserial|int2)/.test(column)) return Number.isInteger(value) && Math.abs(value) < 32_768;
  return /^(numeric|decimal|double)/.test(column) && Number.isFinite(value);
}

/** In a column without one, a date means what the session's time zone makes of it. */
function hasZone(column: string): boolean {
  return /^timestamp(tz|.* with time zone)/.test(column);
}

/** PostgreSQL writes other years in its own way. */
function isPlainYear(date: Date): boolean {
  const year = date.getUTCFullYear();
  return year > 0 && year < 10_000;
}
