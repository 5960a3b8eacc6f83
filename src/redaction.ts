import { types } from 'node:util';

const { isProxy, isNativeError } = types;
const redactedText = '[redacted]';

/** Redacts secrets in log fields, by the names of the fields. */
export class Redaction {
  readonly #pattern: RegExp | undefined;

  /** @param names a field whose name contains one of them, in any case, is redacted */
  constructor(names: readonly string[]) {
    const escaped = names.map((name) => name.replace(/[^\w]/g, '\\$&'));
    this.#pattern = names.length > 0 ? new RegExp(escaped.join('|'), 'i') : undefined;
  }

  /** Returns the same object if nothing is redacted, otherwise a copy. Instances of classes are redacted in the form that the log shows. */
  apply<T extends object>(fields: T): T {
    if (!this.#pattern || !hasSecrets(fields, this.#pattern, new Set())) return fields;
    return cleaned(fields, this.#pattern, new Map()) as T;
  }
}

function hasSecrets(value: unknown, pattern: RegExp, seen: Set<unknown>): boolean {
  if (seen.has(value)) return false;
  const shown = asShown(value);
  if (!shown) return false;
  seen.add(value);
  return fieldsOf(shown).some(([name, one]) => pattern.test(name) || hasSecrets(one, pattern, seen));
}

/** @param copies of objects that were met before, because objects may refer to each other */
function cleaned(value: unknown, pattern: RegExp, copies: Map<unknown, object>): unknown {
  const known = copies.get(value);
  if (known) return known;
  const shown = asShown(value);
  if (!shown) return value;
  const copy: object = Array.isArray(shown) ? [] : {};
  copies.set(value, copy);
  for (const [name, one] of fieldsOf(shown)) {
    const field = pattern.test(name) ? redactedText : cleaned(one, pattern, copies);
    Object.defineProperty(copy, name, { value: field, enumerable: true, configurable: true, writable: true });
  }
  return copy;
}

/** The object whose fields the log shows; undefined for values without fields, and for errors, which the log shows differently. */
function asShown(value: unknown): object | undefined {
  if (typeof value !== 'object' || value === null || isProxy(value)) return undefined;
  if (isNativeError(value) || ArrayBuffer.isView(value)) return undefined;
  try {
    const shown: unknown = 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON() : value;
    return typeof shown === 'object' && shown !== null && !isProxy(shown) ? shown : undefined;
  } catch {
    return undefined;
  }
}

function fieldsOf(value: object): [string, unknown][] {
  return Object.keys(value).map((name) => [name, read(value, name)]);
}

/** Reads a property; a getter may throw. */
function read(value: object, name: string): unknown {
  try {
    return Reflect.get(value, name);
  } catch {
    return undefined;
  }
}
