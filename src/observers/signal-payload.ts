import { types } from 'node:util';
import { ConfigurationError } from '../errors.js';
import { isCollection, isEntity } from '../orm/model-entity.js';

/**
 * `{"$": ["Date", "2026-01-01T00:00:00.000Z"]}` stands for a value that JSON has no form for. An object with a key `$` is written in this
 * form too.
 */
type Tagged = readonly [kind: string, value?: unknown];

const mark = '$';

const views = {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
};

/**
 * Encodes a signal's payload as text. The text keeps what the payload was at this moment, even if the original changes before the commit,
 * and other processes can read it. Dates, maps, sets, bytes and big integers keep their types; an instance becomes a plain object of its
 * own properties, or the result of its `toJSON`.
 *
 * @throws ConfigurationError for what cannot be sent: an entity, a collection of entities, a function, a symbol, or an object that contains
 * itself
 */
export function encodePayload(payload: unknown): string {
  return JSON.stringify(toJson(payload, 'payload', new Set()));
}

export function decodePayload(text: string): unknown {
  return fromJson(JSON.parse(text));
}

function toJson(value: unknown, place: string, open: Set<object>): unknown {
  if (value === undefined) return tagged('Undefined');
  if (typeof value === 'bigint') return tagged('BigInt', String(value));
  if (typeof value === 'number' && !Number.isFinite(value)) return tagged('Number', String(value));
  if (typeof value === 'function' || typeof value === 'symbol') throw fault(place, `is a ${typeof value}`);
  if (typeof value !== 'object' || value === null) return value;
  if (isCollection(value))
    throw fault(place, `is a collection of entities (${value.constructor.name}), which may change before the commit`);
  if (isEntity(value))
    throw fault(place, `is an entity (${value.constructor.name}), which may change before the commit`);
  if (open.has(value)) throw fault(place, 'contains itself');
  open.add(value);
  const encoded = objectToJson(value, place, open);
  open.delete(value);
  return encoded;
}

function objectToJson(value: object, place: string, open: Set<object>): unknown {
  const part = (each: unknown, name: string): unknown => toJson(each, `${place}${name}`, open);
  if (Array.isArray(value)) return value.map((item, index) => part(item, `[${index}]`));
  if (types.isDate(value)) return tagged('Date', value.getTime());
  if (Buffer.isBuffer(value)) return tagged('Buffer', value.toString('base64'));
  if (types.isAnyArrayBuffer(value)) return tagged('ArrayBuffer', Buffer.from(value).toString('base64'));
  if (ArrayBuffer.isView(value)) return tagged(...viewToJson(value));
  if (types.isMap(value))
    return tagged(
      'Map',
      [...value].map(([key, each]) => [part(key, ''), part(each, '')]),
    );
  if (types.isSet(value))
    return tagged(
      'Set',
      [...value].map((each) => part(each, '')),
    );
  const { toJSON } = value as { toJSON?: unknown };
  if (typeof toJSON === 'function') return toJson(toJSON.call(value), place, open);
  const entries = Object.entries(value).map(([name, each]) => [name, part(each, `.${name}`)] as const);
  return Object.hasOwn(value, mark) ? tagged('Object', entries) : Object.fromEntries(entries);
}

function viewToJson(view: ArrayBufferView): Tagged {
  const kind = Object.keys(views).find((name) => view.constructor.name === name) ?? 'Uint8Array';
  return [kind, Buffer.from(view.buffer, view.byteOffset, view.byteLength).toString('base64')];
}

function tagged(...parts: Tagged): object {
  return { [mark]: parts };
}

function fromJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromJson);
  if (Object.hasOwn(value, mark)) return fromTagged(Reflect.get(value, mark) as Tagged);
  return fromEntries(Object.entries(value));
}

function fromTagged([kind, value]: Tagged): unknown {
  if (kind === 'Undefined') return undefined;
  if (kind === 'BigInt') return BigInt(value as string);
  if (kind === 'Number') return Number(value);
  if (kind === 'Date') return new Date(value as number);
  if (kind === 'Map')
    return new Map((value as [unknown, unknown][]).map(([key, each]) => [fromJson(key), fromJson(each)]));
  if (kind === 'Set') return new Set((value as unknown[]).map(fromJson));
  if (kind === 'Object') return fromEntries(value as [string, unknown][]);
  const bytes = Buffer.from(value as string, 'base64');
  if (kind === 'Buffer') return bytes;
  const { buffer } = new Uint8Array(bytes);
  return kind === 'ArrayBuffer' ? buffer : new views[kind as keyof typeof views](buffer);
}

/** The object of these entries, in which `__proto__` is an ordinary key. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): object {
  return Object.fromEntries(entries.map(([name, each]) => [name, fromJson(each)]));
}

function fault(place: string, reason: string): ConfigurationError {
  return new ConfigurationError({
    class: 'Signal',
    member: 'send',
    reason: `was given a payload that cannot be sent: ${place} ${reason}.`,
    remedy: 'Send plain data: the key of an entity, or the values to show.',
  });
}
