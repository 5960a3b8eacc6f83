import { BaseModelSerializer } from './model-serializer.js';
import { isSerializerClass, Serializer, type SerializerClass } from './serializer.js';

/**
 * Whether a serializer may show a row to one client in another way than to the next: a `computed` field, or a `toData` of its own,
 * takes the context, in which the request stands; or one that is nested in it does.
 */
export function showsByRequest(serializer: SerializerClass, seen: ReadonlySet<SerializerClass> = new Set()): boolean {
  if (seen.has(serializer)) return false;
  const { prototype } = serializer;
  const inherited: readonly unknown[] = [BaseModelSerializer.prototype.toData, Serializer.prototype.toData];
  if (!inherited.includes(prototype.toData) && takesContext(prototype.toData)) return true;
  if (!(prototype instanceof BaseModelSerializer)) return false;
  const { computed = [], nested = {} } = (serializer as SerializerClass & typeof BaseModelSerializer).options;
  if (computed.some((name) => takesContext(Reflect.get(prototype, name)))) return true;
  const inner: readonly unknown[] = Object.values(nested);
  return inner.filter(isSerializerClass).some((one) => showsByRequest(one, new Set([...seen, serializer])));
}

function takesContext(method: unknown): boolean {
  return typeof method === 'function' && method.length > 1;
}
