import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import {
  ArrayType,
  BlobType,
  type EntityProperty,
  IntervalType,
  JsonType,
  type Platform,
  type Type,
  types,
  Uint8ArrayType,
} from '@mikro-orm/core';
import type { JsonSchema } from '../kwargs/json-schema.js';
import { isoDuration, storedDuration } from './durations.js';

// The one table of column types: what a client may send, what the entity holds, what the client is shown, and what can be compared.
// Columns, keys, filters, cursors and the fields of embedded values all use it in both directions.

/** Checks a value that a client sent. Returns the value for the entity, or the text of the error. */
export type ColumnCheck = (value: unknown) => { readonly value: unknown } | { readonly text: string };

/** What clients may send for a column, and how its values are shown. Null is handled elsewhere. */
export interface ColumnKind {
  readonly check: ColumnCheck;
  /** Converts the entity's value into one that JSON shows correctly; dates and bigints need no conversion. */
  readonly show: (value: unknown) => unknown;
  /** The schema of accepted values, as far as a schema can describe them. */
  readonly accepts: JsonSchema;
  readonly shows: JsonSchema;
  /** Why sent values cannot be checked; undefined if they can. */
  readonly refusal?: string;
  /**
   * The type for which MikroORM 7.2 mistakes a value's JSON inside a JSON column, and what to use instead; undefined if it reads the values
   * correctly.
   */
  readonly lostInJson?: { readonly readAs: string; readonly instead: string };
}

const uuid = /^([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})$/i;
/** An instant in ISO 8601, or as PostgreSQL writes it: `2026-01-31 12:00:00+00`. */
const instant = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?$/;
const calendarDay = /^\d{4}-\d\d-\d\d$/;
const timeOfDay = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?$/;
const decimal = /^-?\d+(\.\d+)?$/;
const whole = /^-?\d{1,19}$/;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const macAddress = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const largestBigint = 9223372036854775807n;
/** The number of decimal digits that a JavaScript number represents exactly. */
const safeDigits = 15;
const nullCharacters = 'Null characters are not allowed.';

const kinds = new WeakMap<EntityProperty, ColumnKind>();

export function columnKind(prop: EntityProperty): ColumnKind {
  const known = kinds.get(prop) ?? kindOf(prop);
  kinds.set(prop, known);
  return known;
}

function kindOf(prop: EntityProperty): ColumnKind {
  const column = prop.columnTypes?.[0]?.toLowerCase() ?? '';
  const type: Type<unknown, unknown> | undefined = prop.customType;
  if (!type) return columnOf(column, prop);
  if (!isBuiltIn(type)) return custom(type, columnOf(column, { ...prop, runtimeType: 'string' } as EntityProperty));
  if (type instanceof JsonType) return jsonKind;
  if (type instanceof ArrayType) return withTextItems(list(itemOf(column, prop), type), itemColumnOf(column), type);
  if (type instanceof IntervalType) return duration(type);
  if (type instanceof Uint8ArrayType || type instanceof BlobType) return bytes;
  return columnOf(column, prop);
}

/** Whether a type of the application converts the column for the entity. */
export function hasOwnType({ customType }: EntityProperty): boolean {
  return customType !== undefined && !isBuiltIn(customType);
}

/** Whether the type is MikroORM's own, so that the column determines the values. */
function isBuiltIn(type: object): boolean {
  return Object.values<unknown>(types).includes(type.constructor);
}

/** The kind of a list's items. They are the driver's values, of which the list's type makes the entity's. */
function itemOf(column: string, prop: EntityProperty): ColumnKind {
  const choices: unknown = Reflect.get(prop.customType ?? {}, 'items') ?? prop.items;
  if (Array.isArray(choices)) return choice(choices);
  const itemColumn = itemColumnOf(column);
  if (column.endsWith('[]') && /^json/.test(itemColumn))
    return { ...jsonKind, refusal: 'MikroORM writes no JSON into lists: make it a column of the type json' };
  // The driver reads the items of a numeric[] as numbers. Inside JSON they are texts.
  const runtimeType = /^(numeric|decimal)/.test(itemColumn) && !prop.embeddedPath ? 'number' : 'string';
  return columnOf(itemColumn, { ...prop, runtimeType } as EntityProperty);
}

function itemColumnOf(column: string): string {
  return column.endsWith('[]') ? column.slice(0, -2) : column;
}

/** Inside JSON a list is stored as PostgreSQL's text of it, so its type has to make items of texts. */
function withTextItems(kind: ColumnKind, itemColumn: string, type: ArrayType<unknown>): ColumnKind {
  const platform = platformOf(type);
  const [, sample] = itemSamples.find(([pattern]) => pattern.test(itemColumn)) ?? [];
  if (sample === undefined) return kind;
  const read = type.convertToJSValue(type.convertToDatabaseValue([sample], platform) as never, platform);
  if (isDeepStrictEqual(read, [sample])) return kind;
  return { ...kind, lostInJson: { readAs: 'a list of texts', instead: `type: 'json'` } };
}

/** Sample values whose text differs from them. */
const itemSamples: readonly (readonly [RegExp, unknown])[] = [
  [/^bool/, true],
  [/^(smallint|int|real|double|float)/, 1],
  [/^bytea/, Uint8Array.of(1)],
];

function kind(check: ColumnCheck, accepts: JsonSchema, shows = accepts, show: ColumnKind['show'] = asItIs): ColumnKind {
  return { check, show, accepts, shows };
}

function columnOf(column: string, prop: EntityProperty): ColumnKind {
  if (column.endsWith('[]')) {
    const items = list(itemOf(column, prop));
    return prop.customType ? items : { ...items, refusal: `MikroORM writes no lists into it without type: 'array'` };
  }
  if (prop.enum && prop.items) return choice(prop.items);
  if (/^json/.test(column)) return jsonKind;
  if (/^(smallint|smallserial|int2)\b/.test(column)) return integer(32767);
  if (/^(bigint|bigserial|int8)\b/.test(column)) return bigint(prop);
  if (/^(int|integer|int4|serial)\b/.test(column)) return integer(2147483647);
  if (/^(real|float4)/.test(column)) return kind(single, { type: 'number' });
  if (/^(double|float)/.test(column)) return kind(finite, { type: 'number' });
  if (/^(numeric|decimal)/.test(column)) return decimalNumber(prop);
  if (/^bool/.test(column)) return kind(boolean, { type: 'boolean' });
  if (/^timestamp/.test(column)) return dateTime(prop);
  if (/^time/.test(column)) {
    return kind(matching(timeOfDay, 'Time has wrong format. Use ISO 8601: 12:00:00.'), {
      type: 'string',
      format: 'time',
    });
  }
  if (column === 'date') return kind(day, { type: 'string', format: 'date' }, undefined, dayOf);
  if (column === 'uuid') return kind(identifier, { type: 'string', format: 'uuid' });
  if (/^(varchar|char|text|character|citext|bpchar)/.test(column)) return text(prop);
  if (/^bytea\b/.test(column))
    return { ...bytes, lostInJson: { readAs: 'no Buffer', instead: 'type: Uint8ArrayType' } };
  if (/^interval\b/.test(column)) return duration();
  if (column === 'inet' || column === 'cidr') return kind(column === 'inet' ? address : network, { type: 'string' });
  if (column === 'macaddr') return kind(matching(macAddress, 'Must be a valid MAC address.'), { type: 'string' });
  return unchecked(column);
}

/** Shows values as the driver reads them, and accepts anything. */
function unchecked(column: string): ColumnKind {
  const check: ColumnCheck = () => ({ text: 'This field cannot be set.' });
  return { ...kind(check, {}), refusal: `nothing is known of the values of ${column || 'its column'}` };
}

const comparable =
  /^(smallint|smallserial|int[248]?$|integer|serial|bigint|bigserial|real|double|float|numeric|decimal|bool|timestamp|date$|uuid$|varchar|char|text$|text\()/;

/**
 * Whether a column's values can be compared directly with what a client sends. JSON, lists and binary data cannot: the ORM would read an
 * object in their place as operators.
 */
export function isComparable({ columnTypes, array, embedded, enum: isEnum }: EntityProperty): boolean {
  const column = columnTypes?.[0]?.toLowerCase() ?? '';
  if (array || embedded || column.endsWith('[]')) return false;
  return Boolean(isEnum) || /^time(\(\d+\))?$/.test(column) || comparable.test(column);
}

/** Whether a column holds text that can be searched. */
export function isText({ columnTypes, array }: EntityProperty): boolean {
  return /^(varchar|char|text|character|citext|bpchar)/i.test(columnTypes?.[0] ?? '') && !array;
}

export function asItIs(value: unknown): unknown {
  return value;
}

export function jsonOf(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Date ? value.toJSON() : value;
}

const boolean: ColumnCheck = (value) => (typeof value === 'boolean' ? { value } : { text: 'Must be a valid boolean.' });

const finite: ColumnCheck = (value) =>
  typeof value === 'number' && Number.isFinite(value) ? { value } : { text: 'A valid number is required.' };

const single: ColumnCheck = (value) => {
  const outcome = finite(value);
  if ('text' in outcome || Number.isFinite(Math.fround(Number(value)))) return outcome;
  return { text: 'Ensure this value is within the range of a single-precision number.' };
};

const jsonKind = kind((value) => (holdsNullCharacter(value) ? { text: nullCharacters } : { value }), {});

/** Whether a value contains a null character, which PostgreSQL accepts neither in keys nor in texts. */
function holdsNullCharacter(value: unknown): boolean {
  if (typeof value === 'string') return value.includes('\u0000');
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some((entry) => entry.some(holdsNullCharacter));
}

function choice(items: readonly unknown[]): ColumnKind {
  const check: ColumnCheck = (value) =>
    items.includes(value) ? { value } : { text: `${JSON.stringify(value)} is not a valid choice.` };
  return kind(check, { enum: items });
}

function integer(bound: number): ColumnKind {
  const check: ColumnCheck = (value) => {
    if (typeof value !== 'number' || !Number.isInteger(value)) return { text: 'A valid integer is required.' };
    if (value > bound) return { text: `Ensure this value is less than or equal to ${bound}.` };
    if (value < -bound - 1) return { text: `Ensure this value is greater than or equal to ${-bound - 1}.` };
    return { value };
  };
  return kind(check, { type: 'integer', format: bound === 32767 ? 'int16' : 'int32' }, { type: 'integer' });
}

/** A bigint, which JSON shows as text. */
function bigint(prop: EntityProperty): ColumnKind {
  const isNumber = prop.runtimeType === 'number';
  const check: ColumnCheck = (value) => {
    const isWhole =
      typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && whole.test(value);
    if (!isWhole) return { text: 'A valid integer is required.' };
    const number = BigInt(value as string | number);
    const largest = isNumber ? BigInt(Number.MAX_SAFE_INTEGER) : largestBigint;
    const least = isNumber ? -largest : -largest - 1n;
    if (number > largest || number < least) return { text: 'This integer is too large.' };
    return { value: bigintOf(prop, number) };
  };
  return kind(check, { type: ['integer', 'string'] }, { type: isNumber ? 'integer' : 'string' });
}

/** A bigint in the type of its property. The compiler calls it `BigInt` in the type metadata that it emits. */
function bigintOf({ runtimeType }: EntityProperty, value: bigint): unknown {
  if (/^bigint$/i.test(runtimeType)) return value;
  return runtimeType === 'number' ? Number(value) : String(value);
}

function decimalNumber(prop: EntityProperty): ColumnKind {
  const [precision, scale] = digitsOf(prop);
  const isNumber = prop.runtimeType === 'number';
  const check: ColumnCheck = (value) => {
    const shown = typeof value === 'number' ? String(value) : value;
    if (typeof shown !== 'string' || !decimal.test(shown)) return { text: 'A valid number is required.' };
    const [units = '', places = ''] = shown.replace('-', '').split('.');
    const digits = units.replace(/^0+/, '').length + places.length;
    const most = isNumber ? Math.min(precision ?? safeDigits, safeDigits) : precision;
    if (most !== undefined && digits > most)
      return { text: `Ensure that there are no more than ${most} digits in total.` };
    if (scale !== undefined && places.length > scale)
      return { text: `Ensure that there are no more than ${scale} decimal places.` };
    const room = (precision ?? Number.POSITIVE_INFINITY) - (scale ?? 0);
    if (digits - places.length > room)
      return { text: `Ensure that there are no more than ${room} digits before the decimal point.` };
    return { value: isNumber ? Number(shown) : asStored(shown, scale) };
  };
  return kind(check, { type: ['number', 'string'] }, { type: isNumber ? 'number' : 'string' });
}

/** Precision and scale, from the property or else from its column: `numeric(5,2)`. */
function digitsOf({ precision, scale, columnTypes }: EntityProperty): readonly [precision?: number, scale?: number] {
  const [, all, behind = '0'] = /\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)/.exec(columnTypes?.[0] ?? '') ?? [];
  if (all === undefined) return [precision, scale] as readonly [precision?: number, scale?: number];
  return [precision ?? Number(all), scale ?? Number(behind)];
}

/** A number with the decimal places of its column, `12.5` as `12.50`: the reply to a write shows it as the next read will. */
function asStored(shown: string, scale: number | undefined): string {
  const [, sign = '', units = '', places = ''] = /^(-?)0*(\d+)(?:\.(\d+))?$/.exec(shown) ?? [];
  const padded = places.padEnd(scale ?? 0, '0');
  const isZero = !/[1-9]/.test(units + padded);
  return `${isZero ? '' : sign}${units}${padded && `.${padded}`}`;
}

function text({ length, columnTypes }: EntityProperty): ColumnKind {
  const column = columnTypes?.[0] ?? '';
  // PostgreSQL pads it with blanks: so the key of a new row is the same text everywhere.
  const isPadded = /^(char|character|bpchar) *(\(|$)/i.test(column);
  const unbounded = /^char(acter)?$/i.test(column) ? 1 : Number.POSITIVE_INFINITY;
  const limit = length ?? Number(/\((\d+)\)/.exec(column)?.[1] ?? unbounded);
  const check: ColumnCheck = (value) => {
    if (typeof value !== 'string') return { text: 'Not a valid string.' };
    if (value.includes('\u0000')) return { text: nullCharacters };
    if (lengthOf(value) > limit) return { text: `Ensure this field has no more than ${limit} characters.` };
    return { value: isPadded && Number.isFinite(limit) ? value + ' '.repeat(limit - lengthOf(value)) : value };
  };
  return kind(check, { type: 'string', ...(Number.isFinite(limit) && { maxLength: limit }) }, { type: 'string' });
}

function dateTime({ runtimeType }: EntityProperty): ColumnKind {
  const isText = runtimeType === 'string';
  const check: ColumnCheck = (value) => {
    const isInstant = typeof value === 'string' && instant.test(value) && isDay(value.slice(0, 10));
    const time = isInstant ? Date.parse(isoInstant(value)) : Number.NaN;
    if (Number.isNaN(time)) return { text: 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.' };
    return { value: isText ? value : new Date(time) };
  };
  return kind(check, { type: 'string', format: 'date-time' });
}

/** The text in the form that `Date` parses: with a T, and with minutes in its offset. */
function isoInstant(value: string): string {
  return value.replace(' ', 'T').replace(/(T.*[+-]\d\d)$/, '$1:00');
}

const day: ColumnCheck = (value) =>
  typeof value === 'string' && calendarDay.test(value) && isDay(value)
    ? { value }
    : { text: 'Date has wrong format. Use ISO 8601: 2026-01-31.' };

/** The value of a date column. MikroORM reads it as midnight in UTC if the property is a `Date`. */
function dayOf(value: unknown): unknown {
  return value instanceof Date ? value.toJSON().slice(0, 10) : value;
}

/** Whether the calendar has this day; PostgreSQL's years begin with 1. */
function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return text >= '0001' && !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** Checks a UUID and writes it as PostgreSQL does, so that a key is the same text everywhere. */
const identifier: ColumnCheck = (value) => {
  const parts = typeof value === 'string' ? uuid.exec(value) : null;
  return parts ? { value: parts.slice(1).join('-').toLowerCase() } : { text: 'Must be a valid UUID.' };
};

function matching(pattern: RegExp, sentence: string): ColumnCheck {
  return (value) => (typeof value === 'string' && pattern.test(value) ? { value } : { text: sentence });
}

// Binary data

const bytes = kind(
  (value) =>
    typeof value === 'string' && base64.test(value)
      ? { value: Buffer.from(value, 'base64') }
      : { text: 'Must be base64.' },
  { type: 'string', contentEncoding: 'base64' },
  undefined,
  base64Of,
);

function base64Of(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
}

// Durations

/** A duration. The entity holds it in the form that a read would give, so that MikroORM sees whether it has changed. */
function duration(type?: Type<unknown, unknown>): ColumnKind {
  const check: ColumnCheck = (value) => {
    const stored = typeof value === 'string' ? storedDuration(value) : undefined;
    if (stored === undefined) return { text: 'Duration has wrong format. Use ISO 8601: P1DT2H30M.' };
    return { value: type ? type.convertToJSValue(stored, platformOf(type)) : stored };
  };
  return {
    ...kind(check, { type: 'string', format: 'duration' }, undefined, isoDuration),
    lostInJson: { readAs: 'no duration', instead: `type: 'string'` },
  };
}

// Addresses of networks

const address: ColumnCheck = (value) =>
  networkOf(value)
    ? { value }
    : { text: 'Must be a valid IP address, with or without a prefix: 10.0.0.1, 10.0.0.0/8.' };

/** Checks a network. PostgreSQL refuses one with bits set after its prefix. */
const network: ColumnCheck = (value) => {
  const { bits, prefix } = networkOf(value) ?? {};
  const isNetwork = bits !== undefined && prefix !== undefined && !bits.slice(prefix).includes('1');
  return isNetwork ? { value } : { text: 'Must be a valid network: 10.0.0.0/8.' };
};

function networkOf(value: unknown): { readonly bits: string; readonly prefix: number } | undefined {
  const [, host = '', given] = typeof value === 'string' ? (/^([^/%]+)(?:\/(\d{1,3}))?$/.exec(value) ?? []) : [];
  const version = isIP(host);
  if (version === 0) return undefined;
  const bits = version === 4 ? bitsOf(host.split('.'), 10, 8) : bitsOf(groupsOf(host), 16, 16);
  const prefix = given === undefined ? bits.length : Number(given);
  return prefix <= bits.length ? { bits, prefix } : undefined;
}

function bitsOf(parts: readonly string[], radix: number, size: number): string {
  return parts
    .map((part) =>
      Number.parseInt(part || '0', radix)
        .toString(2)
        .padStart(size, '0'),
    )
    .join('');
}

/** The eight groups of an IPv6 address, the last two of which may be written as an IPv4 address. */
function groupsOf(host: string): readonly string[] {
  const hexadecimal = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a, b, c, d] = parts.slice(0, 4).map((part) => Number(part).toString(16).padStart(2, '0'));
    return `${a}${b}:${c}${d}`;
  });
  const [head = '', tail] = hexadecimal.split('::');
  const front = head.split(':').filter(Boolean);
  const back = (tail ?? '').split(':').filter(Boolean);
  return [...front, ...Array.from({ length: 8 - front.length - back.length }, () => '0'), ...back];
}

// Lists and types of the application

/** @param type makes the entity's list of the driver's value */
function list(
  { check: checkItem, show, accepts, shows, refusal }: ColumnKind,
  type?: Type<unknown, unknown>,
): ColumnKind {
  const check: ColumnCheck = (value) => {
    if (!Array.isArray(value)) return { text: 'Expected a list of items.' };
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) {
      const outcome = item === null ? { text: 'This field may not be null.' } : checkItem(item);
      if ('text' in outcome) return { text: `Item ${index}: ${outcome.text}` };
      items.push(outcome.value);
    }
    return { value: type ? type.convertToJSValue(items, platformOf(type)) : items };
  };
  const showAll = (value: unknown): unknown =>
    Array.isArray(value) ? value.map((item) => (item === null ? null : show(item))) : value;
  const all = kind(check, { type: 'array', items: accepts }, { type: 'array', items: shows }, showAll);
  return refusal === undefined ? all : { ...all, refusal };
}

/**
 * A type of the application. Clients may send back what it shows. Its `toJSON` and `fromJSON` convert between value and JSON; without them
 * the value itself is the JSON. The column's own check refuses what it could not store.
 */
function custom(type: Type<unknown, unknown>, column: ColumnKind): ColumnKind {
  const platform = platformOf(type);
  const check: ColumnCheck = (value) => {
    try {
      const own: unknown = type.fromJSON ? type.fromJSON(value, platform) : value;
      const stored: unknown = type.convertToDatabaseValue(own, platform);
      if (stored === null || stored === undefined) return { text: notValid };
      const isPlain = column.refusal === undefined && !type.convertToDatabaseValueSQL;
      const outcome = isPlain ? checkAnyForm(column, jsonOf(column.show(stored))) : { value: stored };
      return 'text' in outcome ? outcome : { value: own };
    } catch {
      return { text: notValid };
    }
  };
  return kind(check, {}, {}, (value) => type.toJSON(value, platform));
}

const notValid = 'Not a valid value.';

/**
 * Checks a value in either form: numbers may come as text, as in URLs, and texts as numbers. The error's text is that of the form that was
 * sent.
 */
export function checkAnyForm({ check }: ColumnKind, raw: unknown): ReturnType<ColumnCheck> {
  const outcome = check(raw);
  const other = 'text' in outcome ? otherForm(raw) : undefined;
  const second = other === undefined ? outcome : check(other);
  return 'text' in second ? outcome : second;
}

function otherForm(raw: unknown): unknown {
  if (typeof raw === 'number' || typeof raw === 'bigint') return String(raw);
  return typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : undefined;
}

/** The platform that MikroORM gives to each type of a property. */
function platformOf(type: Type<unknown, unknown>): Platform {
  return type.platform as Platform;
}

/** The length in code points, which PostgreSQL counts, and not in UTF-16 units. */
function lengthOf(value: string): number {
  return value.length < 256 && !/[\ud800-\udbff]/.test(value) ? value.length : [...value].length;
}
