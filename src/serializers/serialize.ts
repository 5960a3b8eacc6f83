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

/** Many entities, their relations loaded by one query each and not one per entity. */
export async function serializeMany(
  serializer: SerializerClass,
  entities: readonly object[],
  context: SerializerContext,
): Promise<unknown[]> {
  const instance: AnySerializer = context.resolve(serializer);
  await context.unitOfWork.load(entities, instance.pathsToLoad(context));
  return Promise.all(entities.map((entity) => instance.toData(entity, context)));
}
