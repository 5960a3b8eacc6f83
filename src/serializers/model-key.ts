import { type EntityMetadata, type EntityProperty, type Platform, Utils } from '@mikro-orm/core';
import { primaryKeyOf } from '../orm/row.js';
import { asItIs, type ColumnCheck, type ColumnKind, checkAnyForm, columnKind } from './model-columns.js';
import { jsonBy } from './model-values.js';

type ReadKey = (raw: unknown) => unknown;

const keyReaders = new WeakMap<EntityMetadata, ReadKey>();

/**
 * Converts a key from JSON into the key to look up; undefined if no row can have it. Numbers may come as text, as in URLs. A composite key
 * is an object with all its parts.
 */
export function toPrimaryKey(meta: EntityMetadata, raw: unknown): unknown {
  const read = keyReaders.get(meta) ?? keyReader(meta);
  keyReaders.set(meta, read);
  return read(raw);
}

function keyReader(meta: EntityMetadata): ReadKey {
  const parts = meta.primaryKeys.map((name) => ({ name, prop: keyProperty(meta, name) }));
  const [only, ...others] = parts;
  if (only && others.length === 0) return (raw) => toKeyPart(only.prop, raw);
  return (raw) => {
    if (typeof raw !== 'object' || raw === null) return undefined;
    const read = parts.map(({ name, prop }) => [name, toKeyPart(prop, Reflect.get(raw, name))] as const);
    return read.some(([, part]) => part === undefined) ? undefined : Object.fromEntries(read);
  };
}

function keyProperty(meta: EntityMetadata, name: string | undefined): EntityProperty | undefined {
  return meta.props.find((prop) => prop.name === name);
}

/** Converts one column of a key. */
function toKeyPart(prop: EntityProperty | undefined, raw: unknown): unknown {
  if (!prop || raw === null || raw === undefined) return undefined;
  if (prop.targetMeta) return toPrimaryKey(prop.targetMeta, raw);
  if (isOfClass(raw)) return raw;
  const outcome = comparedValue(prop, raw, checkAnyForm);
  return 'value' in outcome ? outcome.value : undefined;
}

/** Whether the value is an instance of a class. JSON has no such values: it comes from an entity, through code of the application. */
function isOfClass(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !isStructure(value);
}

/** Whether the value is a list or an object of JSON, whatever it contains: `{"constructor": null}`. */
function isStructure(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}

/**
 * Checks a value that a client sent to compare a column with. Returns the value, or the text of the error. The ORM would read an object as
 * operators.
 */
export function comparedValue(
  prop: EntityProperty,
  raw: unknown,
  check = (kind: ColumnKind, value: unknown): ReturnType<ColumnCheck> => kind.check(value),
): ReturnType<ColumnCheck> {
  const outcome = check(columnKind(prop), raw);
  return 'value' in outcome && isStructure(outcome.value) ? { text: 'A single value is required.' } : outcome;
}

/** The condition for the row with the entity's key. */
export function ofKey(meta: EntityMetadata, key: unknown): object {
  const [name] = meta.primaryKeys;
  return meta.primaryKeys.length === 1 && name ? { [name]: key } : (key as object);
}

/** Converts a key from the entity's form into the shown form. */
export function showKey(meta: EntityMetadata, key: unknown): unknown {
  const [only, ...others] = meta.getPrimaryProps();
  if (only && others.length === 0) return showKeyPart(only, key);
  const parts = Object.entries(Object(key) as object).map(
    ([name, part]) => [name, showKeyPart(keyProperty(meta, name), part)] as const,
  );
  return Object.fromEntries(parts);
}

/** Converts the value of another column into the shown form. */
export function showColumn(meta: EntityMetadata, name: string, value: unknown): unknown {
  return showKeyPart(keyProperty(meta, name), value);
}

function showKeyPart(prop: EntityProperty | undefined, part: unknown): unknown {
  if (!prop || part === null || part === undefined) return part;
  if (!prop.targetMeta) return columnKind(prop).show(part);
  return showKey(prop.targetMeta, Utils.isEntity<object>(part, true) ? primaryKeyOf(part) : part);
}

/** The condition for the row with a key; undefined if no row can have it. */
export function byKey(meta: EntityMetadata, raw: unknown): object | undefined {
  const key = toPrimaryKey(meta, raw);
  return key === undefined ? undefined : ofKey(meta, key);
}

/** The condition for the rows with a value in a column; undefined if no row can have it. */
export function byColumn(meta: EntityMetadata, name: string, raw: unknown): object | undefined {
  const value = toKeyPart(keyProperty(meta, name), raw);
  return value === undefined ? undefined : { [name]: value };
}

// Keys of rows that are no entities

/** How a key is shown from the columns that hold it. */
export interface KeyShape {
  /** The columns that hold the key, by their names in their table; the property is that of the column's own value. */
  readonly columns: readonly { readonly name: string; readonly prop: EntityProperty }[];
  /** Shows the key; null if one of its columns is null. */
  readonly show: (valueAt: (index: number) => unknown) => unknown;
}

/** The key of a model's rows in their own table. */
export function keyOfRows(meta: EntityMetadata, platform: Platform): KeyShape {
  return keyOf(meta, platform, (column) => column);
}

/** The key that a relation to one row holds. */
export function keyShape(prop: EntityProperty, platform: Platform): KeyShape {
  return partShape(prop, platform, (column) => column);
}

/** @param holds the name of the column that holds the value of a key's column */
function keyOf(meta: EntityMetadata, platform: Platform, holds: (column: string) => string): KeyShape {
  const parts = meta.getPrimaryProps().map((prop) => ({ ...partShape(prop, platform, holds), name: prop.name }));
  const [only, ...others] = parts;
  if (only && others.length === 0) return only;
  let width = 0;
  const placed = parts.map((part) => {
    const from = width;
    width += part.columns.length;
    return { ...part, from };
  });
  return {
    columns: parts.flatMap(({ columns }) => columns),
    show: (valueAt) => {
      const key: Record<string, unknown> = {};
      for (const { name, show, from } of placed) {
        const value = show((index) => valueAt(from + index));
        if (value === null || value === undefined) return null;
        key[name] = value;
      }
      return key;
    },
  };
}

/** A column of a key, or a relation that is part of it. */
function partShape(prop: EntityProperty, platform: Platform, holds: (column: string) => string): KeyShape {
  if (prop.targetMeta) {
    const held = new Map(prop.referencedColumnNames.map((column, index) => [column, prop.fieldNames[index] ?? '']));
    return keyOf(prop.targetMeta, platform, (column) => holds(held.get(column) ?? ''));
  }
  const show = jsonBy(prop, platform) ?? asItIs;
  return {
    columns: [{ name: holds(prop.fieldNames[0] ?? ''), prop }],
    show: (valueAt) => {
      const value = valueAt(0);
      return value === null || value === undefined ? value : show(value);
    },
  };
}
