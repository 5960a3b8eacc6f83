import type { ConcreteClass } from '../metadata.js';
import type { AnySerializer, SerializerClass, SerializerContext } from './serializer.js';

/** One entity as a serializer shows it, its relations loaded first. */
export async function serializeOne(
  serializer: SerializerClass,
  entity: object,
  context: SerializerContext,
): Promise<unknown> {
  const [data] = await serializeMany(serializer, [entity], context);
  return data;
}

/** Many entities; their relations are loaded by one query each, and each serializer is built once, not once per entity. */
export async function serializeMany(
  serializer: SerializerClass,
  entities: readonly object[],
  context: SerializerContext,
): Promise<unknown[]> {
  const shared = withOneOfEach(context);
  const instance: AnySerializer = shared.resolve(serializer);
  await context.unitOfWork.load(entities, instance.pathsToLoad(shared));
  return Promise.all(entities.map((entity) => instance.toData(entity, shared)));
}

function withOneOfEach(context: SerializerContext): SerializerContext {
  const instances = new Map<ConcreteClass, unknown>();
  const resolve = <T>(serializer: ConcreteClass<T>): T => {
    if (!instances.has(serializer as ConcreteClass))
      instances.set(serializer as ConcreteClass, context.resolve(serializer));
    return instances.get(serializer as ConcreteClass) as T;
  };
  return { ...context, resolve };
}
