import type { EntityProperty } from '@mikro-orm/core';
import type { JsonSchema } from '../kwargs/json-schema.js';
import { bigintOf } from '../orm/model-key.js';

/** What a column makes of a value that came: the value to store, or the text that says what is wrong. */
export type ColumnCheck = (value: unknown) => { readonly value: unknown } | { readonly text: string };

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$/;
const calendarDay = /^\d{4}-\d\d-\d\d$/;
const timeOfDay = /^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$/;
const decimal = /^-?\d+(\.\d+)?$/;
const whole = /^-?\d{1,19}$/;
const largestBigint = 9223372036854775807n;
const nullCharacters = 'Null characters are not allowed.';

/** What clients may send for a column, and what they are shown of it. Null is not part of it. */
export interface ColumnKind {
  readonly check: ColumnCheck;
  /** What the check lets through, as far as a schema can say it. */
  readonly accepts: JsonSchema;
  readonly shows: JsonSchema;
}

/** The check that follows from a column. The texts are Django REST Framework's. */
export function columnCheck(prop: EntityProperty): ColumnCheck {
  return columnKind(prop).check;
}

export function columnKind(prop: EntityProperty): ColumnKind {
  const column = prop.columnTypes?.[0]?.toLowerCase() ?? '';
  return prop.array && !column.endsWith('[]') ? list(itemKind(column, prop)) : valueKind(column, prop);
}

function valueKind(column: string, prop: EntityProperty): ColumnKind {
  if (column.endsWith('[]')) return list(valueKind(column.slice(0, -2), prop));
  return itemKind(column, prop);
}

function kind(check: ColumnCheck, accepts: JsonSchema, shows = accepts): ColumnKind {
  return { check, accepts, shows };
}

function itemKind(column: string, prop: EntityProperty): ColumnKind {
  if (prop.enum && prop.items) return choice(prop.items);
  if (/^json/.test(column)) return kind(json, {});
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
  if (column === 'date') return kind(day, { type: 'string', format: 'date' });
  if (column === 'uuid') return kind(matching(uuid, 'Must be a valid UUID.'), { type: 'string', format: 'uuid' });
  if (/^(varchar|char|text|character|citext)/.test(column)) return text(prop);
  return kind(accept, {});
}

const comparable =
  /^(smallint|smallserial|int[248]?$|integer|serial|bigint|bigserial|real|double|float|numeric|decimal|bool|timestamp|date$|uuid$|varchar|char|text$|text\()/;

/**
 * Whether values of a column can be compared with what a client sends, as they are. Not so JSON, lists and binary data: the ORM
 * would take an object in their place for operators.
 */
export function isComparable({ columnTypes, array, embedded, enum: isEnum }: EntityProperty): boolean {
  const column = columnTypes?.[0]?.toLowerCase() ?? '';
  if (array || embedded || column.endsWith('[]')) return false;
  return Boolean(isEnum) || /^time(\(\d+\))?$/.test(column) || comparable.test(column);
}

const accept: ColumnCheck = (value) => ({ value });

const boolean: ColumnCheck = (value) => (typeof value === 'boolean' ? { value } : { text: 'Must be a valid boolean.' });

const finite: ColumnCheck = (value) =>
  typeof value === 'number' && Number.isFinite(value) ? { value } : { text: 'A valid number is required.' };

const single: ColumnCheck = (value) => {
  const outcome = finite(value);
  if ('text' in outcome || Number.isFinite(Math.fround(Number(value)))) return outcome;
  return { text: 'Ensure this value is within the range of a single-precision number.' };
};

const json: ColumnCheck = (value) => (holdsNullCharacter(value) ? { text: nullCharacters } : { value });

/** PostgreSQL takes none, in keys as little as in texts. */
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

/** JSON shows a bigint as text. */
function bigint(prop: EntityProperty): ColumnKind {
  const check: ColumnCheck = (value) => {
    const isWhole =
      typeof value === 'number' ? Number.isSafeInteger(value) : typeof value === 'string' && whole.test(value);
    if (!isWhole) return { text: 'A valid integer is required.' };
    const number = BigInt(value as string | number);
    if (number > largestBigint || number < -largestBigint - 1n) return { text: 'This integer is too large.' };
    return { value: bigintOf(prop, number) };
  };
  return kind(check, { type: ['integer', 'string'] }, { type: prop.runtimeType === 'number' ? 'integer' : 'string' });
}

function decimalNumber({ precision, scale, runtimeType }: EntityProperty): ColumnKind {
  const check: ColumnCheck = (value) => {
    const shown = typeof value === 'number' ? String(value) : value;
    if (typeof shown !== 'string' || !decimal.test(shown)) return { text: 'A valid number is required.' };
    const [units = '', places = ''] = shown.replace('-', '').split('.');
    const digits = units.replace(/^0+/, '').length + places.length;
    if (precision !== undefined && digits > precision)
      return { text: `Ensure that there are no more than ${precision} digits in total.` };
    if (scale !== undefined && places.length > scale)
      return { text: `Ensure that there are no more than ${scale} decimal places.` };
    const room = (precision ?? Number.POSITIVE_INFINITY) - (scale ?? 0);
    if (digits - places.length > room)
      return { text: `Ensure that there are no more than ${room} digits before the decimal point.` };
    return { value: runtimeType === 'number' ? Number(shown) : asStored(shown, scale) };
  };
  return kind(check, { type: ['number', 'string'] }, { type: runtimeType === 'number' ? 'number' : 'string' });
}

/** `12.5` in a column with two decimal places is read as `12.50`: the reply to a write shows it as the next read will. */
function asStored(shown: string, scale: number | undefined): string {
  const [, sign = '', units = '', places = ''] = /^(-?)0*(\d+)(?:\.(\d+))?$/.exec(shown) ?? [];
  const padded = places.padEnd(scale ?? 0, '0');
  const isZero = !/[1-9]/.test(units + padded);
  return `${isZero ? '' : sign}${units}${padded && `.${padded}`}`;
}

function text({ length, columnTypes }: EntityProperty): ColumnKind {
  const limit = length ?? Number(/\((\d+)\)/.exec(columnTypes?.[0] ?? '')?.[1] ?? Number.POSITIVE_INFINITY);
  const check: ColumnCheck = (value) => {
    if (typeof value !== 'string') return { text: 'Not a valid string.' };
    if (value.includes('\u0000')) return { text: nullCharacters };
    return lengthOf(value) > limit ? { text: `Ensure this field has no more than ${limit} characters.` } : { value };
  };
  return kind(check, { type: 'string', ...(Number.isFinite(limit) && { maxLength: limit }) }, { type: 'string' });
}

function dateTime({ runtimeType }: EntityProperty): ColumnKind {
  const check: ColumnCheck = (value) => {
    const isInstant = typeof value === 'string' && instant.test(value) && isDay(value.slice(0, 10));
    if (!isInstant || Number.isNaN(Date.parse(value)))
      return { text: 'Datetime has wrong format. Use ISO 8601: 2026-01-31T12:00:00Z.' };
    return { value: runtimeType === 'string' ? value : new Date(value) };
  };
  return kind(check, { type: 'string', format: 'date-time' });
}

const day: ColumnCheck = (value) =>
  typeof value === 'string' && calendarDay.test(value) && isDay(value)
    ? { value }
    : { text: 'Date has wrong format. Use ISO 8601: 2026-01-31.' };

/** Whether the calendar has it; PostgreSQL's begins with the year 1. */
function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return text >= '0001' && !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

function matching(pattern: RegExp, sentence: string): ColumnCheck {
  return (value) => (typeof value === 'string' && pattern.test(value) ? { value } : { text: sentence });
}

function list({ check: checkItem, accepts, shows }: ColumnKind): ColumnKind {
  const check: ColumnCheck = (value) => {
    if (!Array.isArray(value)) return { text: 'Expected a list of items.' };
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) {
      const outcome = item === null ? { text: 'This field may not be null.' } : checkItem(item);
      if ('text' in outcome) return { text: `Item ${index}: ${outcome.text}` };
      items.push(outcome.value);
    }
    return { value: items };
  };
  return kind(check, { type: 'array', items: accepts }, { type: 'array', items: shows });
}

/** PostgreSQL counts code points, not UTF-16 units. */
function lengthOf(value: string): number {
  return value.length < 256 && !/[\ud800-\udbff]/.test(value) ? value.length : [...value].length;
}
