import { types } from 'node:util';
import { ConfigurationError } from '../errors.js';
import { isCollection, isEntity } from '../orm/model-key.js';

/**
 * A copy of what a signal was sent with, so that it shows what it was then, whatever becomes of the original before the commit.
 * Instances keep their class; one of a class with a `toJSON` is taken for a value that does not change.
 *
 * @throws ConfigurationError for an entity, a collection of some, a function, a symbol, and what contains itself: nothing of the kind could be sent
 */
export function copyPayload(payload: unknown): unknown {
  return new Copying().copy(payload, 'payload');
}

class Copying {
  readonly #copies = new Map<object, object>();
  readonly #open = new Set<object>();

  copy(value: unknown, place: string): unknown {
    if (typeof value === 'function' || typeof value === 'symbol') throw fault(place, `is a ${typeof value}`);
    if (typeof value !== 'object' || value === null) return value;
    if (isCollection(value))
      throw fault(place, `is a collection of entities (${value.constructor.name}), which may change before the commit`);
    if (isEntity(value))
      throw fault(place, `is an entity (${value.constructor.name}), which may change before the commit`);
    if (this.#open.has(value)) throw fault(place, 'contains itself');
    const known = this.#copies.get(value);
    if (known) return known;
    this.#open.add(value);
    const copied = this.#copyObject(value, place);
    this.#open.delete(value);
    this.#copies.set(value, copied);
    return copied;
  }

  #copyObject(value: object, place: string): object {
    if (Array.isArray(value)) return value.map((item, index) => this.copy(item, `${place}[${index}]`));
    if (types.isDate(value)) return new Date(value);
    if (Buffer.isBuffer(value)) return Buffer.from(value);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return structuredClone(value);
    if (types.isMap(value)) return new Map([...value].map((pair) => this.copy(pair, place) as [unknown, unknown]));
    if (types.isSet(value)) return new Set([...value].map((item) => this.copy(item, place)));
    if ('toJSON' in value) return value;
    const own = Object.entries(value).map(([name, part]) => [name, this.copy(part, `${place}.${name}`)] as const);
    const bearer: object = Object.create(Object.getPrototypeOf(value));
    for (const [name, part] of own) {
      Object.defineProperty(bearer, name, { value: part, writable: true, enumerable: true, configurable: true });
    }
    return bearer;
  }
}

function fault(place: string, reason: string): ConfigurationError {
  return new ConfigurationError({
    class: 'Signal',
    member: 'send',
    reason: `was given what cannot be sent on: ${place} ${reason}.`,
    remedy: 'Send plain data: the key of an entity, or what of it is to be shown.',
  });
}
