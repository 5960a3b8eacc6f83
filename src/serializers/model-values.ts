import type { EntityProperty, Platform } from '@mikro-orm/core';
import { asItIs, columnKind, jsonOf } from './model-columns.js';

// The only way of a column's value out of the database: from the driver's value to the entity's, and from that to JSON.

type Convert = (value: unknown) => unknown;

/** Shows the driver's value of a column; undefined if it is shown unchanged. Null is handled elsewhere. */
export function jsonBy(prop: EntityProperty, platform: Platform): Convert | undefined {
  const read = readBy(prop, platform);
  const { show } = columnKind(prop);
  if (show !== asItIs || prop.customType)
    return read ? (value) => jsonOf(show(read(value))) : (value) => jsonOf(show(value));
  if (isJson(prop)) return read;
  if (read && /^timestamptz/.test(prop.columnTypes[0] ?? '')) return (value) => instantOf(value) ?? jsonOf(read(value));
  return read ? (value) => jsonOf(read(value)) : jsonOf;
}

/** Whether JSON has the same value of the column as an entity. */
function isJson({ runtimeType }: EntityProperty): boolean {
  return runtimeType === 'string' || runtimeType === 'number' || runtimeType === 'boolean';
}

/** MikroORM's conversion from the driver's value to the entity's; undefined if it is unchanged. Null is handled elsewhere. */
export function readBy({ customType, runtimeType }: EntityProperty, platform: Platform): Convert | undefined {
  if (customType) return (value) => customType.convertToJSValue(value, platform);
  if (runtimeType === 'boolean') return Boolean;
  return runtimeType === 'Date' ? dates(platform.getTimezone()) : undefined;
}

/** `2026-01-31 12:00:00.5+00` as `2026-01-31T12:00:00.500Z`; undefined for other texts, which `Date` has to parse. */
function instantOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value[10] !== ' ' || !value.endsWith('+00')) return undefined;
  const fraction = value.length === 22 ? '.000' : `${value.slice(19, -3)}00`.slice(0, 4);
  return `${value.slice(0, 10)}T${value.slice(11, 19)}${fraction}Z`;
}

/** Parses dates as MikroORM does: a text without a zone has the zone of the configuration. */
function dates(timezone: string | undefined): Convert {
  const isLocal = !timezone || timezone === 'local';
  return (value) => {
    if (typeof value !== 'string' || isLocal) return new Date(value as string);
    const hasZone = value.includes('+') || value.lastIndexOf('-') > 10 || value.endsWith('Z');
    return new Date(hasZone ? value : value + timezone);
  };
}
