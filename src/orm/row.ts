import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { type EntityManager, type EntityMetadata, type EntityProperty, helper } from '@mikro-orm/core';

/**
 * A row as the driver reads it: values by the names of the columns, as the driver's parsers make them. The members of a many-to-many
 * relation are a list of keys under the property's name, present only if they are known.
 */
export interface StoredRow {
  readonly columns: Readonly<Record<string, unknown>>;
  readonly members?: Readonly<Record<string, readonly unknown[]>>;
}

/** A column of a row's text, and the driver's parser for it. */
interface Column {
  readonly name: string;
  readonly parse: (text: string) => unknown;
}

/** A many-to-many relation whose members are read with the row. */
interface Members {
  readonly name: string;
  readonly sql: string;
  readonly columns: readonly Column[];
}

/** How the rows of a class are read as text, and what the text means. Processes with the same entities and tables have the same shapes. */
export interface RowShape {
  /** Identifies the meaning of the text across processes and versions of the application. */
  readonly id: string;
  readonly meta: EntityMetadata;
  readonly schema: string | undefined;
  /** The tables of the class in SQL; the first has the alias `t`. */
  readonly from: string;
  /** All aliases, for locks. */
  readonly aliases: readonly string[];
  /** SQL that says whether policies of row level security may hide rows from the transaction. */
  readonly mayHide: string;
  readonly key: readonly { readonly column: string; readonly type: string }[];
  /** SQL that makes one row a text: its columns as a list, then the members of each relation. */
  readonly sql: string;
  readonly columns: readonly Column[];
  readonly members: readonly Members[];
}

/** Which hidden and lazy properties of a class the text of a row includes; it leaves out all others. */
export interface HiddenColumns {
  /** Properties whose values are included. */
  readonly shown: ReadonlySet<string>;
  /** Properties of which only a digest is included, which shows whether they have changed. */
  readonly compared: ReadonlySet<string>;
}

/** Runs one statement where the rows are visible, for example on a transaction's own connection. */
export type Run = <Row>(text: string, parameters: readonly unknown[]) => Promise<readonly Row[]>;

/** The driver's parser for a type, by the type's OID. */
export type ParserOf = (oid: number) => (text: string) => unknown;

/** The part of `pg.Pool` and of PGlite that says how values are parsed. */
interface NativeClient {
  readonly options?: { readonly types?: { getTypeParser(oid: number, format: 'text'): (text: string) => unknown } };
  readonly Client?: { readonly prototype: object };
  readonly parsers?: Readonly<Record<number, (text: string, oid: number) => unknown>>;
}

interface NativeConnection {
  getNativeClient(): Promise<unknown>;
}

/** The parsers of an ORM's driver, so that a row's text gives the values that a read of the row would have given. */
export async function parserOf(em: EntityManager): Promise<ParserOf> {
  const connection = em.getConnection('write') as unknown as NativeConnection;
  const { options, parsers } = (await connection.getNativeClient()) as NativeClient;
  const types = options?.types;
  if (types) return (oid) => types.getTypeParser(oid, 'text');
  return (oid) => {
    const parse = parsers?.[oid];
    return parse ? (text) => parse(text, oid) : (text) => text;
  };
}

/** The SQL of one column. */
export interface ColumnSource {
  readonly name: string;
  readonly sql: string;
}

/** Reads the types of columns from the catalog: the driver parses by them, and entities do not name all of them. */
const typesOf = `
with recursive given as (select ord, oid::oid from unnest($1::oid[]) with ordinality as g(oid, ord)),
base as (
  select g.ord, t.oid, t.typtype, t.typbasetype from given g join pg_type t on t.oid = g.oid
  union all
  select b.ord, t.oid, t.typtype, t.typbasetype from base b join pg_type t on b.typtype = 'd' and t.oid = b.typbasetype
)
select oid::int as oid from base where typtype <> 'd' order by ord`;

export async function readShape(
  run: Run,
  em: EntityManager,
  meta: EntityMetadata,
  schema: string | undefined,
  parserOf: ParserOf,
  wanted: { readonly members: boolean; readonly hidden: HiddenColumns },
): Promise<RowShape> {
  const quote = quoter(em);
  const tables = tablesOf(em, meta, schema);
  const joined = tables.map(({ alias, name }, index) =>
    index === 0 ? `${name} ${alias}` : `join ${name} ${alias} on ${joinOn(meta, quote, alias)}`,
  );
  const from = joined.length > 1 ? `(${joined.join(' ')})` : joined.join('');
  const sources = columnsOf(em, meta, tables, wanted.hidden);
  const keys = keyColumns(meta).map((column) => ({ name: column, sql: `t.${quote(column)}` }));
  const relations = wanted.members
    ? meta.relations.filter(({ kind, hydrate }) => kind === 'm:n' && hydrate !== false)
    : [];
  const pivots = relations.map((prop) => ({ prop, ...pivotOf(em, prop, schema) }));
  const pivotColumns = pivots.flatMap(({ columns, table }) =>
    columns.map((column) => ({ name: column, sql: `(select p.${quote(column)} from ${table} p where false)` })),
  );
  const [types, names] = await typesFor(run, from, [...sources, ...keys, ...pivotColumns]);
  const parsed = (source: ColumnSource, index: number): Column => ({
    name: source.name,
    parse: parserOf(types[index] ?? 25),
  });
  const columns = sources.map(parsed);
  const key = keys.map(({ name }, index) => ({
    column: name,
    type: ofAnyLength(names[sources.length + index] ?? 'text'),
  }));
  let next = sources.length + keys.length;
  const members = pivots.map(({ prop, columns: targets, table, own }): Members => {
    const inOrder = targets.map((column, index) => ordered(`p.${quote(column)}`, names[next + index] ?? '')).join(', ');
    const texts = targets.map((column, index) => textSql(`p.${quote(column)}`, names[next + index] ?? '')).join(', ');
    const where = own.map((column, index) => `p.${quote(column)} = t.${quote(keys[index]?.name ?? '')}`).join(' and ');
    const first = next;
    next += targets.length;
    return {
      name: prop.name,
      sql: `(select coalesce(json_agg(json_build_array(${texts}) order by ${inOrder}), '[]') from ${table} p where ${where})`,
      columns: targets.map((name, index) => parsed({ name, sql: '' }, first + index)),
    };
  });
  const row = `row(${sources.map(({ sql }) => sql).join(', ')})::text`;
  const sql = members.length > 0 ? `json_build_array(${[row, ...members.map((each) => each.sql)].join(', ')})` : row;
  const described = JSON.stringify([
    meta.className,
    from,
    sources,
    types,
    members.map(({ name, sql: text }) => [name, text]),
  ]);
  const id = createHash('sha256').update(described).digest('base64url').slice(0, 12);
  const mayHide = tables.map(({ name }) => `row_security_active('${name.replaceAll("'", "''")}')`).join(' or ');
  return { id, meta, schema, from, aliases: tables.map(({ alias }) => alias), mayHide, key, sql, columns, members };
}

/** A cast drops the trailing blanks of a column of a fixed length. */
function textSql(sql: string, type: string): string {
  return type === 'character' ? `format('%s', ${sql})` : `${sql}::text`;
}

/**
 * SQL that orders members by a column of their key, the same in every database, whatever its collation, and in JavaScript.
 *
 * @param type the type's name in PostgreSQL or the ORM
 */
export function ordered(sql: string, type: string): string {
  return /^(text|char|varchar|citext)/.test(type) ? `${sql} collate "C"` : sql;
}

/** The types of columns by OID and by name; the OID of a domain gives its base type. */
export async function typesFor(
  run: Run,
  from: string,
  sources: readonly Pick<ColumnSource, 'sql'>[],
): Promise<readonly [oids: readonly number[], names: readonly string[]]> {
  const oids = sources.map(({ sql }) => `pg_typeof(${sql})::oid::int`).join(', ');
  const names = sources.map(({ sql }) => `pg_typeof(${sql})::text`).join(', ');
  const [found] = await run<{ oids: readonly number[]; names: readonly string[] }>(
    `select array[${oids}] as oids, array[${names}] as names from (select 1) one left join ${from} on false`,
    [],
  );
  if (!found) return [[], []];
  const bases = await run<{ oid: number }>(typesOf, [`{${found.oids.join(',')}}`]);
  return [bases.map(({ oid }) => oid), found.names];
}

/** These names mean a length of one, as types of parameters and of columns without a length. */
function ofAnyLength(type: string): string {
  if (type === 'character') return 'bpchar';
  return type === 'bit' ? 'varbit' : type;
}

export type Quote = (name: string) => string;

export function quoter(em: EntityManager): Quote {
  const platform = em.getDriver().getPlatform();
  return (name) => String(platform.quoteIdentifier(name));
}

interface Table {
  readonly alias: string;
  readonly name: string;
  /** The properties whose columns this table has; undefined if it has all of them. */
  readonly props: ReadonlySet<string> | undefined;
}

/** The tables of a class. If a class extends another class with a table of its own, each table has some of the columns. */
function tablesOf(em: EntityManager, meta: EntityMetadata, schema: string | undefined): readonly Table[] {
  const tables: Table[] = [];
  for (let level: EntityMetadata | undefined = meta; level; level = level.tptParent) {
    const isPart = Boolean(level.tptParent ?? tables.length > 0);
    const props = isPart ? new Set((level.ownProps ?? level.props).map(({ name }) => name)) : undefined;
    tables.push({ alias: tables.length === 0 ? 't' : `t${tables.length}`, name: tableName(em, level, schema), props });
  }
  return tables;
}

export function tableName(em: EntityManager, meta: EntityMetadata, schema: string | undefined): string {
  const quote = quoter(em);
  const own = schema ?? (meta.schema === '*' ? undefined : meta.schema) ?? em.config.get('schema');
  return own ? `${quote(own)}.${quote(meta.tableName)}` : quote(meta.tableName);
}

function joinOn(meta: EntityMetadata, quote: Quote, alias: string): string {
  return keyColumns(meta)
    .map((column) => `${alias}.${quote(column)} = t.${quote(column)}`)
    .join(' and ');
}

export function keyColumns(meta: EntityMetadata): readonly string[] {
  return meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames);
}

/** The columns that a read returns by default, without lazy and hidden ones, plus those that `HiddenColumns` adds. */
function columnsOf(
  em: EntityManager,
  meta: EntityMetadata,
  tables: readonly Table[],
  hidden: HiddenColumns,
): readonly ColumnSource[] {
  const quote = quoter(em);
  const columns = new Map<string, ColumnSource>();
  for (const prop of meta.props) {
    if (!hasColumn(prop)) continue;
    const isHidden = Boolean(prop.lazy || prop.hidden) && !prop.primary && !hidden.shown.has(prop.name);
    if (isHidden && !hidden.compared.has(prop.name)) continue;
    const alias = tables.find(({ props }) => !props || props.has(prop.name))?.alias ?? 't';
    prop.fieldNames.forEach((name) => {
      const sql = columnSql(em, meta, prop, alias, quote(name));
      if (isHidden) columns.set(`${digest}${name}`, { name: `${digest}${name}`, sql: `md5((${sql})::text)` });
      else if (!columns.has(name)) columns.set(name, { name, sql });
    });
  }
  return [...columns.values()];
}

/** Prefix of a digest's name; no column's name begins so. */
export const digest = '#';

export function hasColumn(prop: EntityProperty): boolean {
  if (!prop.fieldNames?.length) return false;
  if (prop.kind === '1:m' || prop.kind === 'm:n' || (prop.kind === '1:1' && !prop.owner)) return false;
  // The properties of an embedded JSON column have no columns of their own.
  if (prop.embeddedPath) return false;
  if (prop.kind === 'embedded') return Boolean(prop.object || prop.array);
  return prop.persist !== false || Boolean(prop.formula ?? prop.generated);
}

export function columnSql(
  em: EntityManager,
  meta: EntityMetadata,
  prop: EntityProperty,
  alias: string,
  column: string,
): string {
  const platform = em.getDriver().getPlatform();
  if (prop.formula) {
    const columns = meta.createColumnMappingObject(alias);
    const table = {
      alias,
      name: meta.tableName,
      schema: meta.schema,
      qualifiedName: meta.tableName,
      toString: () => alias,
    };
    const evaluate = Reflect.get(em.getDriver(), 'evaluateFormula') as (...parts: unknown[]) => string;
    return `(${evaluate.call(em.getDriver(), prop.formula, columns, table)})`;
  }
  const sql = `${alias}.${column}`;
  return prop.customType?.convertToJSValueSQL?.(sql, platform) ?? sql;
}

interface Pivot {
  readonly table: string;
  /** The columns that refer to the row itself, in the order of its key. */
  readonly own: readonly string[];
  /** The columns that refer to the members. */
  readonly columns: readonly string[];
}

/** The table of a many-to-many relation, seen from one of its sides. */
export function pivotOf(em: EntityManager, prop: EntityProperty, schema: string | undefined): Pivot {
  const owner = prop.owner ? prop : inverseOf(prop);
  const meta = em.getMetadata(owner.pivotEntity as never) as EntityMetadata;
  const { joinColumns, inverseJoinColumns } = owner;
  const [own, columns] = prop.owner ? [joinColumns, inverseJoinColumns] : [inverseJoinColumns, joinColumns];
  return { table: tableName(em, meta, meta.schema && meta.schema !== '*' ? undefined : schema), own, columns };
}

/** A property by a name that no type knows; undefined where the entity has none of it. */
export function findProp(meta: EntityMetadata, name: string): EntityProperty | undefined {
  return meta.properties[name as never];
}

/** The same for a name that was checked before. */
export function propOf(meta: EntityMetadata, name: string): EntityProperty {
  return findProp(meta, name) as EntityProperty;
}

/** The relation's other side, which is declared by the other class. */
export function inverseOf(prop: EntityProperty): EntityProperty {
  const name = prop.owner ? prop.inversedBy : prop.mappedBy;
  return (prop.targetMeta && findProp(prop.targetMeta, name)) ?? prop;
}

/** Parses the text of a row into what the driver would have read. */
export function parseRow(shape: RowShape, text: unknown): StoredRow {
  const [row, ...lists] = shape.members.length > 0 ? (text as readonly unknown[]) : [text];
  const values = splitRow(String(row));
  const columns = Object.fromEntries(
    shape.columns.map(({ name, parse }, index) => {
      const value = values[index] ?? null;
      return [name, value === null ? null : parse(value)];
    }),
  );
  if (lists.length === 0) return { columns };
  const members = shape.members.map(({ name, columns: parts }, index) => {
    const keys = (lists[index] as readonly (readonly string[])[]).map((key) => {
      const parsed = parts.map(({ parse }, part) => parse(key[part] ?? ''));
      return parsed.length === 1 ? parsed[0] : parsed;
    });
    return [name, keys] as const;
  });
  return { columns, members: Object.fromEntries(members) };
}

/**
 * Splits the text that PostgreSQL makes of a row, `row(a, b, …)::text`: `(7,"a, b",,"")` is `7`, `a, b`, null and the empty text. Each item
 * is the column's own text, which the driver's parsers take.
 *
 * @param text of a row with at least one column: a row without columns has the same text as a single null
 */
export function splitRow(text: string): (string | null)[] {
  const columns: (string | null)[] = [];
  const end = text.length - 1;
  if (text[0] !== '(' || text[end] !== ')') throw malformed(text);
  for (let at = 1; at <= end; at += 1) {
    if (text[at] === '"') {
      const close = closingQuote(text, at + 1);
      columns.push(unquoted(text.slice(at + 1, close)));
      at = close + 1;
    } else {
      const comma = text.indexOf(',', at);
      const stop = comma === -1 ? end : comma;
      columns.push(stop === at ? null : text.slice(at, stop));
      at = stop;
    }
    if (at !== end && text[at] !== ',') throw malformed(text);
  }
  return columns;
}

/** The index of the quote that closes the column which begins at `from`: a quote that is neither doubled nor preceded by a backslash. */
function closingQuote(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '\\') at += 1;
    else if (sign === '"' && text[at + 1] !== '"') return at;
    else if (sign === '"') at += 1;
  }
  throw malformed(text);
}

function unquoted(text: string): string {
  if (!text.includes('"') && !text.includes('\\')) return text;
  return text.replace(/""|\\(.)/gs, (_, escaped: string | undefined) => escaped ?? '"');
}

function malformed(text: string): Error {
  return new Error(`This is no text of a row: ${text.slice(0, 100)}`);
}

/** The properties whose columns differ. */
export function changedProperties(meta: EntityMetadata, before: StoredRow, after: StoredRow): ReadonlySet<string> {
  const isOther = (column: string): boolean => !isDeepStrictEqual(before.columns[column], after.columns[column]);
  const differs = (column: string): boolean => isOther(column) || isOther(`${digest}${column}`);
  return new Set(meta.props.filter(({ fieldNames }) => fieldNames?.some(differs)).map(({ name }) => name));
}

/** The primary key as the entity shows it: a value, or an object for a composite key. */
export function primaryKeyOf(entity: object): unknown {
  const { __meta: meta } = helper(entity);
  const key: unknown = helper(entity).getPrimaryKey();
  // The ORM returns a list if a part of the key is a relation.
  return meta.compositePK && Array.isArray(key)
    ? Object.fromEntries(meta.primaryKeys.map((name, index) => [name, key[index] as unknown]))
    : key;
}
