import { types } from 'node:util';

const { isProxy } = types;
const redactedText = '[redacted]';

/** Deeper than that nothing is looked at; the log is no place for it. */
const deepest = 6;

/** Takes secrets out of what is logged, by the names of the fields that hold them. */
export class Redaction {
  readonly #pattern: RegExp | undefined;

  /** @param names a field whose name contains one of them, in any case, is redacted */
  constructor(names: readonly string[]) {
    const escaped = names.map((name) => name.replace(/[^\w]/g, '\\$&'));
    this.#pattern = names.length > 0 ? new RegExp(escaped.join('|'), 'i') : undefined;
  }

  /** The same fields where there is nothing to redact, else a copy. Plain objects and arrays are looked into. */
  apply<T extends object>(fields: T): T {
    return this.#pattern ? (this.#clean(fields, this.#pattern, 0) as T) : fields;
  }

  #clean(value: unknown, pattern: RegExp, depth: number): unknown {
    if (depth > deepest || !isPlain(value)) return value;
    try {
      return this.#cleanFields(value, pattern, depth);
    } catch {
      // What cannot be read is no secret of ours; the log shows it as it can.
      return value;
    }
  }

  #cleanFields(value: object, pattern: RegExp, depth: number): unknown {
    const entries = Object.entries(value);
    const cleaned = entries.map(([name, one]): [string, unknown] => [
      name,
      pattern.test(name) ? redactedText : this.#clean(one, pattern, depth + 1),
    ]);
    if (cleaned.every(([, one], index) => one === entries[index]?.[1])) return value;
    return Array.isArray(value) ? cleaned.map(([, one]) => one) : Object.fromEntries(cleaned);
  }
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || isProxy(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return Array.isArray(value) || prototype === Object.prototype || prototype === null;
}
