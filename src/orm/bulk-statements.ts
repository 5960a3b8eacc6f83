import { type EntityManager, type EntityMetadata, type EntityProperty, JsonType } from '@mikro-orm/core';
import type { Selection } from './model-queries.js';
import { quoter, tableName } from './row.js';
import {
  columnOf,
  idOfEntry,
  keySql,
  keyText,
  type Logged,
  sameKey,
  selectionSql,
  storedColumns,
  unwritable,
  waitingSql,
} from './write-statements.js';

// Statements that write several rows, all or none. The items come as one JSON parameter, so that lists of any length share one statement.

export interface BulkShape {
  readonly kind: 'create' | 'update' | 'delete';
  /** The columns that the statement returns of each row; the table has the alias `t`. */
  readonly selection: Selection;
  /** The properties that at least one of the items sets. */
  readonly props: readonly EntityProperty[];
  readonly logged: Logged | undefined;
  /** The consumer's condition on each row, about the alias `t`. Its parameters follow the items. */
  readonly filter: string | undefined;
  /** Whether a row is written only if it is still at the version (`xmin`) that its item names. */
  readonly isVersioned: boolean;
  /** The number of parameters before the last one. */
  readonly parameters: number;
}

/** A row that is to be written. */
export interface BulkItem {
  /** The values of the key's columns; empty for a new row. */
  readonly key: readonly unknown[];
  /** Values in the database's own form. */
  readonly values: ReadonlyMap<EntityProperty, unknown>;
  readonly version?: string;
}

/**
 * Parameters: of a logged model first `$1` the entry up to its rows, `$2` the entry that replaces one that is too long, `$3` the longest
 * entry in bytes, `$4` each row of the entry up to its key; then the items, as `bulkItems` makes them; then those of the filter; last the
 * longest wait for a lock in milliseconds, as text.
 *
 * The statement returns the rows in the order of the items, and for a logged model the id of the entry after each row. If a row is missing,
 * is left out by the filter or has another version, the statement writes and returns nothing. It locks rows in the order of their keys, and
 * does not write a row that would not change.
 */
export function bulkSql(em: EntityManager, schema: string | undefined, shape: BulkShape): string {
  const { kind } = shape;
  if (kind === 'create') return createRowsSql(em, schema, shape);
  return kind === 'update' ? updateRowsSql(em, schema, shape) : deleteRowsSql(em, schema, shape);
}

/**
 * The items as one parameter.
 *
 * @throws `unwritable` for values that have no text
 */
export function bulkItems({ props, isVersioned }: BulkShape, items: readonly BulkItem[]): string {
  const texts = items.map(({ key, values, version }) => ({
    ...Object.fromEntries(key.map((value, index) => [`k${index}`, textOf(value)])),
    ...Object.fromEntries(props.map((prop, index) => [`c${index}`, textOf(values.get(prop) ?? null)])),
    ...Object.fromEntries(props.flatMap((prop, index) => (values.has(prop) ? [[`h${index}`, true]] : []))),
    ...(isVersioned && { v: version }),
  }));
  return JSON.stringify(texts);
}

function textOf(value: unknown): string | null {
  if (value === null) return null;
  if (Buffer.isBuffer(value)) return `\\x${value.toString('hex')}`;
  if (['string', 'number', 'boolean', 'bigint'].includes(typeof value)) return String(value);
  throw unwritable;
}

/** The items as rows `i`, with their positions `_o`. */
function itemsSql(shape: BulkShape): string {
  const { selection, props, logged, isVersioned, kind } = shape;
  const keys = kind === 'create' ? [] : keyTypes(selection.meta).map((type, index) => `k${index} ${type}`);
  const values = props.flatMap((prop, index) => [`c${index} ${typeOf(prop)}`, `h${index} boolean`]);
  const columns = [...keys, ...values, ...(isVersioned ? ['v text'] : [])];
  const given = `json_array_elements($${logged ? 5 : 1}::json) with ordinality e(j, _o)`;
  return `i as materialized (select e._o, j.* from s, ${given}, lateral json_to_record(e.j) as j(${columns.join(', ')}))`;
}

function keyTypes(meta: EntityMetadata): readonly string[] {
  return meta.getPrimaryProps().flatMap(({ columnTypes }) => columnTypes.map(withoutSequence));
}

/** The type of a column without its sequence: `serial` is `integer`. */
function withoutSequence(type: string): string {
  return type.replace(/^(small|big)?serial$/, (_, size = '') => (size === '' ? 'integer' : `${size}int`));
}

/** JSON travels as a text within the JSON of the items, so that the database stores it as it was written. */
function typeOf(prop: EntityProperty): string {
  return isJson(prop) ? 'text' : withoutSequence(prop.columnTypes[0] ?? 'text');
}

function valueSql(prop: EntityProperty, index: number): string {
  return isJson(prop) ? `i.c${index}::${prop.columnTypes[0] ?? 'jsonb'}` : `i.c${index}`;
}

function isJson({ customType, columnTypes }: EntityProperty): boolean {
  return customType instanceof JsonType || /^json/.test(columnTypes[0] ?? '');
}

function createRowsSql(em: EntityManager, schema: string | undefined, shape: BulkShape): string {
  const { selection, props, logged } = shape;
  const quote = quoter(em);
  const table = tableName(em, selection.meta, schema);
  const columns = props.map((prop) => quote(columnOf(prop))).join(', ');
  const values = props.map(valueSql).join(', ');
  const written = `u as (insert into ${table} (${columns}) select ${values} from i order by i._o returning *)`;
  const log = logged ? `, l as (${logRowsSql(em, selection.meta, logged, { after: true, isNew: true })})` : '';
  return `with ${waitingSql(shape)}, ${itemsSql(shape)}, ${written}${log} select ${selectionSql(selection)}${idOfEntry(shape)} from u t`;
}

/** The locked rows (`k`), and those of them that may be written (`o`): either all of the items or none. */
function lockedRowsSql(em: EntityManager, schema: string | undefined, shape: BulkShape, lock: string): string {
  const { selection, filter, isVersioned } = shape;
  const { meta } = selection;
  const quote = quoter(em);
  const names = meta.getPrimaryProps().flatMap(({ fieldNames }) => fieldNames);
  const isNamed = names.map((name, index) => `t.${quote(name)} = i.k${index}`).join(' and ');
  const order = names.map((name) => `t.${quote(name)}`).join(', ');
  const version = isVersioned ? ', t.xmin as _version, i.v as _judged' : '';
  const rows = `from i, ${tableName(em, meta, schema)} t where ${isNamed} order by ${order} ${lock} of t`;
  const conditions = [
    ...(filter === undefined ? [] : [`(${filter})`]),
    ...(isVersioned ? ['t._version = t._judged::xid'] : []),
  ];
  const condition = conditions.length > 0 ? ` where ${conditions.join(' and ')}` : '';
  return [
    waitingSql(shape),
    itemsSql(shape),
    `k as materialized (select t.*, i._o${version} ${rows})`,
    `o as materialized (select t.* from k t${condition})`,
  ].join(', ');
}

const areAllThere = '(select count(*) from o) = (select count(*) from i)';

function updateRowsSql(em: EntityManager, schema: string | undefined, shape: BulkShape): string {
  const { selection, props, logged } = shape;
  const { meta } = selection;
  const quote = quoter(em);
  const set = props.map((prop, index) => {
    const column = quote(columnOf(prop));
    return `${column} = case when i.h${index} then ${valueSql(prop, index)} else t.${column} end`;
  });
  const changes = props.map((prop, index) => {
    const given = `(${valueSql(prop, index)})::${withoutSequence(prop.columnTypes[0] ?? 'text')}`;
    const [before, after] = [`t.${quote(columnOf(prop))}`, given].map((sql) => `${sql}::text collate "C"`);
    return `(i.h${index} and ${before} is distinct from ${after})`;
  });
  const before = logged?.needsBefore ? `, (select ${logged.shape.sql} from o t where t._o = i._o) as _before` : '';
  const rows = `update ${tableName(em, meta, schema)} t set ${set.join(', ')} from o, i`;
  const where = `i._o = o._o and ${sameKey(em, meta, 't', 'o')} and ${areAllThere} and (${changes.join(' or ')})`;
  const log = logged
    ? `, l as (${logRowsSql(em, meta, logged, { after: true, ...(logged.needsBefore && { before: 't._before' }) })})`
    : '';
  return [
    `with ${lockedRowsSql(em, schema, shape, 'for no key update')}`,
    `u as (${rows} where ${where} returning t.*, o._o${before})${log}`,
    `r as (select o._o, ${storedColumns(em, meta)} from o left join u on u._o = o._o where ${areAllThere})`,
  ]
    .join(', ')
    .concat(` select ${selectionSql(selection)}${idOfEntry(shape)} from r t order by t._o`);
}

function deleteRowsSql(em: EntityManager, schema: string | undefined, shape: BulkShape): string {
  const { selection, logged } = shape;
  const { meta } = selection;
  const table = tableName(em, meta, schema);
  const where = `${sameKey(em, meta, 't', 'o')} and ${areAllThere}`;
  const written = `u as (delete from ${table} t using o where ${where} returning t.*, o._o)`;
  const log = logged ? `, l as (${logRowsSql(em, meta, logged, { before: logged.shape.sql, after: false })})` : '';
  return `with ${lockedRowsSql(em, schema, shape, 'for update')}, ${written}${log} select ${keySql(em, meta)}${idOfEntry(shape)} from u t`;
}

/** The entry of the written rows (`u`, with the alias `t`), in the order of the items. */
function logRowsSql(
  em: EntityManager,
  meta: EntityMetadata,
  { shape }: Logged,
  { before, after, isNew = false }: { readonly before?: string; readonly after: boolean; readonly isNew?: boolean },
): string {
  const beforeText = before === undefined ? '' : ` || ',"before":' || to_json(${before})::text`;
  // PostgreSQL returns new rows in the order in which it inserted them.
  const order = isNew ? '' : ' order by t._o';
  const rows = `string_agg($4 || ${keyText(em, meta)}${beforeText} || '}', ','${order})`;
  const texts = `json_agg(${after ? shape.sql : 'null::text'}${order})`;
  const entry = `$1 || ${rows} || '],"after":' || json_build_array(${texts})::text || '}'`;
  return (
    `insert into signalbox.log (entries) select case when octet_length(e) > $3::int then $2 else e end ` +
    `from (select ${entry} as e from u t having count(*) > 0) entry returning id`
  );
}
