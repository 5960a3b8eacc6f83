import { Collection, type EntityMetadata, type EntityProperty, helper, Utils } from '@mikro-orm/core';

const uuid = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;
const digits = /^-?\d{1,19}$/;
const largest: Record<string, bigint> = { smallint: 32767n, integer: 2147483647n, bigint: 9223372036854775807n };

/**
 * A key as it came in JSON -> the key to look up, or undefined where no row can have it. Numbers may come as text, as URLs
 * have them. A composite key is an object with all its parts.
 */
export function toPrimaryKey(meta: EntityMetadata, raw: unknown): unknown {
  if (meta.primaryKeys.length === 1) return toKeyPart(keyProperty(meta, meta.primaryKeys[0]), raw);
  if (typeof raw !== 'object' || raw === null) return undefined;
  const parts = meta.primaryKeys.map(
    (name) => [name, toKeyPart(keyProperty(meta, name), Reflect.get(raw, name))] as const,
  );
  return parts.some(([, part]) => part === undefined) ? undefined : Object.fromEntries(parts);
}

/** Whether an object is a row of the ORM, or a reference to one. */
export function isEntity(value: object): boolean {
  return Utils.isEntity(value, true);
}

/** Whether only the key of an entity is known, as of a relation that was not loaded. */
export function isUnloaded(value: object): boolean {
  return Utils.isEntity(value) && !helper(value).isInitialized();
}

/** Whether an object is a relation to many rows. */
export function isCollection(value: object): boolean {
  return value instanceof Collection;
}

function keyProperty(meta: EntityMetadata, name: string | undefined): EntityProperty | undefined {
  return meta.props.find((prop) => prop.name === name);
}

/** The same for one column. */
export function toKeyPart(prop: EntityProperty | undefined, raw: unknown): unknown {
  if (!prop || !['string', 'number', 'bigint'].includes(typeof raw)) return undefined;
  if (prop.targetMeta) return toPrimaryKey(prop.targetMeta, raw);
  const column = columnKind(prop);
  if (column === 'uuid') return uuid.exec(String(raw))?.slice(1).join('-').toLowerCase();
  const bound = largest[column];
  // PostgreSQL has no text with a null character.
  if (bound === undefined) return String(raw).includes('\u0000') ? undefined : String(raw);
  if (!digits.test(String(raw))) return undefined;
  const value = BigInt(String(raw));
  if (value > bound || value < -bound - 1n) return undefined;
  return column === 'bigint' ? bigintOf(prop, value) : Number(value);
}

/** A bigint in the type that its property has: where the compiler wrote the type down it is called `BigInt`. */
export function bigintOf({ runtimeType }: EntityProperty, value: bigint): unknown {
  if (/^bigint$/i.test(runtimeType)) return value;
  return runtimeType === 'number' ? Number(value) : String(value);
}

function columnKind(prop: EntityProperty): string {
  const column = prop.columnTypes?.[0] ?? '';
  if (/^(bigint|bigserial|int8)/.test(column)) return 'bigint';
  if (/^(smallint|smallserial|int2)/.test(column)) return 'smallint';
  if (/^(int|serial)/.test(column)) return 'integer';
  return column === 'uuid' ? 'uuid' : column;
}

/** The condition of the row with a key; undefined where no row can have it. */
export function byKey(meta: EntityMetadata, raw: unknown): object | undefined {
  const key = toPrimaryKey(meta, raw);
  const [name] = meta.primaryKeys;
  if (key === undefined) return undefined;
  return meta.primaryKeys.length === 1 && name ? { [name]: key } : (key as object);
}

/** The condition of the rows with a value in a column; undefined where no row can have it. */
export function byColumn(meta: EntityMetadata, name: string, raw: unknown): object | undefined {
  const value = toKeyPart(
    meta.props.find((prop) => prop.name === name),
    raw,
  );
  return value === undefined ? undefined : { [name]: value };
}
