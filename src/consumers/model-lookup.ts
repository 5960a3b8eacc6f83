import type { EntityMetadata } from '@mikro-orm/core';
import { toKeyPart, toPrimaryKey } from '../orm/model-key.js';

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
