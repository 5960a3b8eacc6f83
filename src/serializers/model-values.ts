import type { EntityProperty, Platform } from '@mikro-orm/core';
import { asItIs, columnKind, jsonOf } from './model-columns.js';

// The one way of a column's value out of the database. What the driver gives becomes what the entity would hold, and that becomes JSON.

type Convert = (value: unknown) => unknown;

/** What the driver's value of a column is shown as; undefined where it is shown as it is. Null is not part of it. */
export function jsonBy(prop: EntityProperty, platform: Platform): Convert | undefined {
  const read = readBy(prop, platform);
  const { show } = columnKind(prop);
  if (show !== asItIs || prop.customType)
    return read ? (value) => jsonOf(show(read(value))) : (value) => jsonOf(show(value));
  if (isJson(prop)) return read;
  if (read && /^timestamptz/.test(prop.columnTypes[0] ?? '')) return (value) => instantOf(value) ?? jsonOf(read(value));
  return read ? (value) => jsonOf(read(value)) : jsonOf;
}

/** Whether what an entity would hold of the column is what JSON has of it. */
function isJson({ runtimeType }: EntityProperty): boolean {
  return runtimeType === 'string' || runtimeType === 'number' || runtimeType === 'boolean';
}

/** What MikroORM would make of the driver's value for an entity; undefined where that is the value itself. Null is not part of it. */
export function readBy({ customType, runtimeType }: EntityProperty, platform: Platform): Convert | undefined {
  if (customType) return (value) => customType.convertToJSValue(value, platform);
  if (runtimeType === 'boolean') return Boolean;
  return runtimeType === 'Date' ? dates(platform.getTimezone()) : undefined;
}

/** `2026-01-31 12:00:00.5+00` is `2026-01-31T12:00:00.500Z`; undefined for other texts, which a `Date` has to read. */
function instantOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value[10] !== ' ' || !value.endsWith('+00')) return undefined;
  const fraction = value.length === 22 ? '.000' : `${value.slice(19, -3)}00`.slice(0, 4);
  return `${value.slice(0, 10)}T${value.slice(11, 19)}${fraction}Z`;
}

/** As MikroORM reads dates: a text without a zone is in that of the configuration. */
function dates(timezone: string | undefined): Convert {
  const isLocal = !timezone || timezone === 'local';
  return (value) => {
    if (typeof value !== 'string' || isLocal) return new Date(value as string);
    const hasZone = value.includes('+') || value.lastIndexOf('-') > 10 || value.endsWith('Z');
    return new Date(hasZone ? value : value + timezone);
  };
}
