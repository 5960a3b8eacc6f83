import type { EntityProperty, Platform } from '@mikro-orm/core';

// The one way of a column's value out of the database. What the driver gives becomes what the entity would hold, and that becomes JSON.

type Convert = (value: unknown) => unknown;

/** What the driver's value of a column is shown as. Null is not part of it. */
export function jsonBy(prop: EntityProperty, platform: Platform): Convert {
  const read = readBy(prop, platform);
  return read ? (value) => jsonOf(read(value)) : jsonOf;
}

/** What MikroORM would make of the driver's value for an entity; undefined where that is the value itself. Null is not part of it. */
export function readBy({ customType, runtimeType }: EntityProperty, platform: Platform): Convert | undefined {
  if (customType) return (value) => customType.convertToJSValue(value, platform);
  if (runtimeType === 'boolean') return Boolean;
  return runtimeType === 'Date' ? dates(platform.getTimezone()) : undefined;
}

function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Date ? value.toJSON() : value;
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
