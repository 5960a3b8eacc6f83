import type { EntityManager, EntityMetadata, EntityProperty, Platform } from '@mikro-orm/core';
import { helper, Utils } from '@mikro-orm/core';
import type { Selection } from './model-queries.js';
import { hasColumn, keyColumns, quoter, type RowShape, tableName } from './row.js';
import { plainTexts } from './session-settings.js';

// Statements that write one row: each locks the row, applies the consumer's filter, writes, appends to the change log and returns the
// stored row.

/** What the change log needs of a write. */
export interface Logged {
  readonly shape: RowShape;
  /** Whether the entry includes the row before the write. */
  readonly needsBefore: boolean;
}

export interface WriteShape {
  readonly kind: 'create' | 'update' | 'delete';
  /** The columns that the statement returns of the row; the table has the alias `t`. */
  readonly selection: Selection;
  /** The properties that are written, in the order of their parameters. */
  readonly props: readonly EntityProperty[];
  /** Undefined for a model that no application observes. */
  readonly logged: Logged | undefined;
  /** The consumer's condition on the row, about the alias `t`. Its parameters follow the values. */
  readonly filter: string | undefined;
  /** Whether the row is written only if it is still at the version (`xmin`) that the last parameter but one names. */
  readonly isVersioned: boolean;
  /** The number of parameters before the last one. */
  readonly parameters: number;
}

/**
 * Parameters: of a logged model first `$1` the entry up to its key, `$2` the entry that replaces one that is too long, `$3` the longest
 * entry in bytes; then the columns of the key; then the values; then those of the filter; then the row's version, if it matters; last the
 * longest wait for a lock in milliseconds, as text.
 *
 * The statement returns one row, and for a logged model the id of its entry after it. It returns none if the row is missing, is left out by
 * the filter or has another version. An update that changes nothing writes nothing.
 */
export function writeSql(em: EntityManager, schema: string | undefined, shape: WriteShape): string {
  const { kind } = shape;
  if (kind === 'create') return createSql(em, schema, shape);
  return kind === 'update' ? updateSql(em, schema, shape) : deleteSql(em, schema, shape);
}

function createSql(em: EntityManager, schema: string | undefined, shape: WriteShape): string {
  const { selection, props, logged } = shape;
  const quote = quoter(em);
  const table = tableName(em, selection.meta, schema);
  const first = logged ? 4 : 1;
  const columns = props.map((prop) => quote(columnOf(prop)));
  const values = props.map((_, index) => `$${first + index}`);
  const written = `u as (insert into ${table} (${columns.join(', ')}) select ${values.join(', ')} from s returning *)`;
  const log = logged ? `, l as (${logSql(em, selection.meta, logged, { before: undefined, after: true })})` : '';
  return `with ${waitingSql(shape)}, ${written}${log} select ${selectionSql(selection)}${idOfEntry(shape)} from u t`;
}

/**
 * Settings for this statement, which is its own transaction: no other limit ends the wait for the lock of another open transaction, and
 * values are written in the texts that the driver reads.
 */
export function waitingSql({ parameters }: Pick<WriteShape, 'parameters'>): string {
  return `${plainTexts}, s as materialized (select set_config('lock_timeout', $${parameters + 1}, true) from _plain)`;
}

/** The filter stays outside of the locking select: inside, it would read other tables as they were before the wait. */
function lockedSql(em: EntityManager, schema: string | undefined, shape: WriteShape, lock: string): string {
  const { selection, filter, logged, isVersioned, parameters } = shape;
  const table = tableName(em, selection.meta, schema);
  const where = keyCondition(em, selection.meta, logged ? 4 : 1);
  const version = isVersioned ? ', t.xmin as _version' : '';
  const locked = `k as materialized (select t.*${version} from s, ${table} t where ${where} ${lock} of t)`;
  const conditions = [
    ...(filter === undefined ? [] : [`(${filter})`]),
    ...(isVersioned ? [`t._version = $${parameters}::xid`] : []),
  ];
  const condition = conditions.length > 0 ? ` where ${conditions.join(' and ')}` : '';
  return `${waitingSql(shape)}, ${locked}, o as (select t.* from k t${condition})`;
}

function updateSql(em: EntityManager, schema: string | undefined, shape: WriteShape): string {
  const { selection, props, logged } = shape;
  const { meta, keyLength } = selection;
  const quote = quoter(em);
  const table = tableName(em, meta, schema);
  const first = (logged ? 4 : 1) + keyLength;
  const set = props.map((prop, index) => `${quote(columnOf(prop))} = $${first + index}`).join(', ');
  const changed = props
    .map((prop, index) => {
      return `t.${quote(columnOf(prop))}::text collate "C" is distinct from _v.v${index}::text collate "C"`;
    })
    .join(' or ');
  const values = props
    .map((prop, index) => `$${first + index}::${prop.columnTypes[0] ?? 'text'} as v${index}`)
    .join(', ');
  const before = logged?.needsBefore ? `, (select ${logged.shape.sql} from o t) as _before` : '';
  // Compares columns instead of parameters: PostgreSQL would make the text of a number when it plans the statement.
  const compared = `_v as materialized (select ${values} from s)`;
  const written = `${compared}, u as (update ${table} t set ${set} from o, _v where ${sameKey(em, meta, 't', 'o')} and (${changed}) returning t.*${before})`;
  const log = logged
    ? `, l as (${logSql(em, meta, logged, { before: logged.needsBefore ? 't._before' : undefined, after: true })})`
    : '';
  const row = `r as (select ${storedColumns(em, meta)} from o left join u on true)`;
  return `with ${lockedSql(em, schema, shape, 'for no key update')}, ${written}${log}, ${row} select ${selectionSql(selection)}${idOfEntry(shape)} from r t`;
}

/** The columns of the written row (`u`); if nothing has changed, those of the row that was found (`o`). */
export function storedColumns(em: EntityManager, meta: EntityMetadata): string {
  const quote = quoter(em);
  return meta.props
    .filter(isStoredColumn)
    .flatMap(({ fieldNames }) => fieldNames)
    .map(
      (name) =>
        `case when u.${quote(keyOf(meta))} is null then o.${quote(name)} else u.${quote(name)} end as ${quote(name)}`,
    )
    .join(', ');
}

function deleteSql(em: EntityManager, schema: string | undefined, shape: WriteShape): string {
  const { selection, logged } = shape;
  const { meta } = selection;
  const table = tableName(em, meta, schema);
  const written = `u as (delete from ${table} t using o where ${sameKey(em, meta, 't', 'o')} returning t.*)`;
  const log = logged ? `, l as (${logSql(em, meta, logged, { before: logged.shape.sql, after: false })})` : '';
  return `with ${lockedSql(em, schema, shape, 'for update')}, ${written}${log} select ${keySql(em, meta)}${idOfEntry(shape)} from u t`;
}

/** The last column: the id of the row's entry, null if nothing has changed. */
export function idOfEntry({ logged }: Pick<WriteShape, 'logged'>): string {
  return logged ? ', (select id from l) as entry' : '';
}

/** The entry of one row, from the written row (`u`, with the alias `t`). */
function logSql(
  em: EntityManager,
  meta: EntityMetadata,
  { shape }: Logged,
  { before, after }: { readonly before: string | undefined; readonly after: boolean },
): string {
  const beforeText = before === undefined ? '' : ` || ',"before":' || to_json(${before})::text`;
  const afterText = after ? shape.sql : 'null::text';
  const rows = `$1 || ${keyText(em, meta)}${beforeText} || '}],"after":'`;
  const entry = `${rows} || json_build_array(json_build_array(${afterText}))::text || '}'`;
  return (
    `insert into signalbox.log (entries) select case when octet_length(e) > $3::int then $2 else e end ` +
    `from (select ${entry} as e from u t) entry returning id`
  );
}

/** The key of a row `t` in the form that an entry has. */
export function keyText(em: EntityManager, meta: EntityMetadata): string {
  const quote = quoter(em);
  const key = meta.getPrimaryProps().flatMap(({ fieldNames, columnTypes }) =>
    fieldNames.map((name, index) => {
      const isNumber = /^(int|integer|serial|smallint|smallserial)/.test(columnTypes[index] ?? '');
      return isNumber ? `t.${quote(name)}` : `t.${quote(name)}::text`;
    }),
  );
  return `json_build_array(${key.join(', ')})::text`;
}

/** Locks rows in the order of their keys; its parameters are the columns of each key. */
export function lockRowsSql(
  em: EntityManager,
  schema: string | undefined,
  meta: EntityMetadata,
  count: number,
  lock: 'update' | 'no key update',
): string {
  const names = keyColumns(meta).map((name) => `t.${quoter(em)(name)}`);
  const keys = Array.from({ length: count }, (_, row) => {
    const parameters = names.map((_name, column) => `$${row * names.length + column + 1}`);
    return `(${parameters.join(', ')})`;
  });
  const list = names.join(', ');
  return `select 1 from ${tableName(em, meta, schema)} t where (${list}) in (${keys.join(', ')}) order by ${list} for ${lock} of t`;
}

export function selectionSql({ columns }: Selection): string {
  return columns.map((sql, index) => `${sql} as "c${index}"`).join(', ');
}

export function keySql(em: EntityManager, meta: EntityMetadata): string {
  return keyColumns(meta)
    .map((name, index) => `t.${quoter(em)(name)} as "c${index}"`)
    .join(', ');
}

function keyCondition(em: EntityManager, meta: EntityMetadata, first: number): string {
  return keyColumns(meta)
    .map((name, index) => `t.${quoter(em)(name)} = $${first + index}`)
    .join(' and ');
}

export function sameKey(em: EntityManager, meta: EntityMetadata, one: string, other: string): string {
  const quote = quoter(em);
  return keyColumns(meta)
    .map((name) => `${one}.${quote(name)} = ${other}.${quote(name)}`)
    .join(' and ');
}

export function keyOf(meta: EntityMetadata): string {
  return keyColumns(meta)[0] ?? '';
}

export function columnOf({ fieldNames }: EntityProperty): string {
  return fieldNames[0] ?? '';
}

/** Whether the table itself has the columns of a property. */
export function isStoredColumn(prop: EntityProperty): boolean {
  return hasColumn(prop) && !prop.formula;
}

/** Thrown for a value that has to be written through the entity. */
export const unwritable = Symbol('unwritable');

/**
 * The columns of a key.
 *
 * @param key values by the names of the key's properties
 * @throws `unwritable` as `writtenValue` does
 */
export function writtenKey(meta: EntityMetadata, key: object, platform: Platform): readonly unknown[] {
  return meta.getPrimaryProps().map((prop) => writtenValue(prop, Reflect.get(key, prop.name), platform));
}

/** @throws `unwritable` for a value that the database might read differently than MikroORM would write it into the SQL */
export function writtenValue(prop: EntityProperty, value: unknown, platform: Platform): unknown {
  if (value === null) return null;
  if (prop.targetMeta) {
    const [key, ...others] = prop.targetMeta.getPrimaryProps();
    if (!key || others.length > 0 || key.targetMeta || prop.fieldNames.length > 1) throw unwritable;
    return writtenValue(key, Utils.isEntity<object>(value, true) ? helper(value).getPrimaryKey() : value, platform);
  }
  const { customType } = prop;
  if (value === undefined || customType?.convertToDatabaseValueSQL) throw unwritable;
  const converted: unknown = customType
    ? customType.convertToDatabaseValue(value, platform, { key: prop.name, mode: 'query-data' })
    : value;
  if (typeof converted === 'bigint') return String(converted);
  if (converted instanceof Date && /^timestamptz/.test(prop.columnTypes[0] ?? '')) return converted.toISOString();
  if (Buffer.isBuffer(converted)) return converted;
  if (['string', 'number', 'boolean'].includes(typeof converted)) return converted;
  throw unwritable;
}
