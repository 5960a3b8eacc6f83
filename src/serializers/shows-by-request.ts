import { BaseModelSerializer, declaredBy } from './model-serializer.js';
import { Serializer, type SerializerClass } from './serializer.js';

/**
 * Whether a serializer may show a row differently to each client: because one of its `computed` fields or its own `toData` takes the
 * context, which contains the request, or because a nested serializer does so.
 */
export function showsByRequest(serializer: SerializerClass, seen: ReadonlySet<SerializerClass> = new Set()): boolean {
  if (seen.has(serializer)) return false;
  const { prototype } = serializer;
  const inherited: readonly unknown[] = [BaseModelSerializer.prototype.toData, Serializer.prototype.toData];
  if (!inherited.includes(prototype.toData) && takesContext(prototype.toData)) return true;
  const { computed = [], nested = {} } = declaredBy(serializer)?.options ?? {};
  if (computed.some((name) => takesContext(Reflect.get(prototype, name)))) return true;
  return Object.values(nested).some((one) => showsByRequest(one, new Set([...seen, serializer])));
}

function takesContext(method: unknown): boolean {
  return typeof method === 'function' && method.length > 1;
}
