import type { EntityProperty, Platform } from '@mikro-orm/core';
import { hasOwnType } from '../serializers/model-columns.js';

/** How PostgreSQL compares the values of a column. Null is handled elsewhere. */
export interface Comparison {
  /** Whether all databases order the values in the same way; the order of texts depends on a collation. */
  readonly isOrdered: boolean;
  readonly holdsText: boolean;
  /** Converts a value from JSON, an entity or the driver into one that `compare` takes. */
  readonly toComparable: (value: unknown) => unknown;
  /** Returns a number below 0, 0, or above 0, as for `Array.sort`. */
  readonly compare: (left: unknown, right: unknown) => number;
}

export function comparisonOf(prop: EntityProperty): Comparison {
  const column = prop.columnTypes?.[0]?.toLowerCase() ?? '';
  const plain = prop.enum ? undefined : table.find(([pattern]) => pattern.test(column))?.[1];
  const comparison = plain ?? unordered((value) => value);
  return hasOwnType(prop) ? asStored(prop, comparison) : comparison;
}

/** Compares stored values: an entity's value of a type of the application's own could be anything. */
function asStored({ customType }: EntityProperty, comparison: Comparison): Comparison {
  const stored = (value: unknown): unknown =>
    customType?.convertToDatabaseValue(value, customType.platform as Platform);
  return { ...comparison, holdsText: false, toComparable: (value) => comparison.toComparable(stored(value)) };
}

function ordered(toComparable: Comparison['toComparable'], compare: Comparison['compare'] = natural): Comparison {
  return { isOrdered: true, holdsText: false, toComparable, compare };
}

function unordered(toComparable: Comparison['toComparable'], holdsText = false): Comparison {
  return { isOrdered: false, holdsText, toComparable, compare: natural };
}

function natural(left: unknown, right: unknown): number {
  if (left === right) return 0;
  return (left as number) < (right as number) ? -1 : 1;
}

const table: readonly (readonly [RegExp, Comparison])[] = [
  [/^(small|big)?(int|serial)|^int[248]/, ordered((value) => BigInt(value as string | number | bigint))],
  [/^(real|float4)/, ordered((value) => Math.fround(Number(value)), withNaNLast)],
  [/^(double|float)/, ordered(Number, withNaNLast)],
  [/^(numeric|decimal)/, ordered(decimalOf, compareDecimals)],
  [/^bool/, unordered(Boolean)],
  [/^timestamp(tz|\(\d+\) with time|.* with time)/, ordered(instantOf)],
  [/^timestamp/, ordered((value) => instantOf(withoutZone(value)))],
  [/^time/, ordered((value) => microseconds(String(withoutZone(value))))],
  [/^date$/, ordered(dayOf)],
  [/^uuid$/, ordered((value) => String(value).toLowerCase())],
  // The blanks that pad the column do not count.
  [/^(char|character|bpchar)\b(?! varying)/, unordered((value) => String(value).replace(/ +$/, ''), true)],
  [/^(varchar|text|character|citext)/, unordered(String, true)],
];

/** PostgreSQL treats NaN as equal to itself, and greater than any number. */
function withNaNLast(left: unknown, right: unknown): number {
  if (Number.isNaN(left) || Number.isNaN(right)) return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  return natural(left, right);
}

/** A number of any length: `units` times ten to the power of `-places`. Values that are no finite number have no units. */
interface Decimal {
  readonly units: bigint | undefined;
  readonly places: number;
  readonly infinite: number;
}

function decimalOf(value: unknown): Decimal {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?$/i.exec(String(value)) ?? [];
  if (whole + fraction === '') return { units: undefined, places: 0, infinite: Number(value) };
  const places = fraction.length - Number(exponent);
  const units = BigInt(`${sign === '-' ? '-' : ''}${whole}${fraction}`);
  return places < 0
    ? { units: units * 10n ** BigInt(-places), places: 0, infinite: 0 }
    : { units, places, infinite: 0 };
}

function compareDecimals(left: unknown, right: unknown): number {
  const [one, other] = [left as Decimal, right as Decimal];
  if (one.units === undefined || other.units === undefined) return withNaNLast(one.infinite, other.infinite);
  const places = Math.max(one.places, other.places);
  return natural(scaled(one, places), scaled(other, places));
}

function scaled({ units = 0n, places }: Decimal, to: number): bigint {
  return units * 10n ** BigInt(to - places);
}

/** The value without its zone, which PostgreSQL ignores when it compares with a column that has none. */
function withoutZone(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/(:\d\d(?:\.\d+)?)(Z|[+-]\d\d(:?\d\d)?)$/, '$1') : value;
}

/** Later than every instant that a column can hold. */
const never = 10n ** 30n;

/** Microseconds since 1970, the precision of the column. */
function instantOf(value: unknown): bigint {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? never : BigInt(value.getTime()) * 1000n;
  const [, year = '', day = '', time = '', zone = ''] =
    /^(\d+)(-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(.*)$/.exec(String(value)) ?? [];
  if (year === '') return String(value).startsWith('-') ? -never : never;
  const longYear = year.length > 4 ? `+${year.padStart(6, '0')}` : year;
  const minutes = zone.replace(/^([+-]\d\d):?(\d\d)?$/, (_, hours, rest = '00') => `${hours}:${rest}`);
  return BigInt(Date.parse(`${longYear}${day}T00:00:00${minutes || 'Z'}`)) * 1000n + microseconds(time);
}

/** A day as a number that sorts correctly: 20260131. */
function dayOf(value: unknown): number {
  const text = value instanceof Date ? value.toISOString() : String(value);
  const [, year, month, day] = /^(\d+)-(\d\d)-(\d\d)/.exec(text) ?? [];
  if (year === undefined) return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  return Number(year) * 10_000 + Number(month) * 100 + Number(day);
}

/** The microseconds of a time of day. */
function microseconds(time: string): bigint {
  const [hours = '0', minutes = '0', seconds = '0'] = time.split(':');
  const [whole = '0', fraction = '0'] = seconds.split('.');
  const rest = BigInt(Math.round(Number(`0.${fraction}`) * 1e6));
  return (BigInt(hours) * 3600n + BigInt(minutes) * 60n + BigInt(whole)) * 1_000_000n + rest;
}
