import type { ConcreteClass } from '../metadata.js';
import { askRights } from './field-rights.js';
import type { EntityOf, SerializerLike, ViewOf } from './model-types.js';
import type { AnySerializer, SerializerClass, SerializerContext } from './serializer.js';

/**
 * One entity as a serializer shows it, its relations loaded first. A computed field that shows other rows calls it with the
 * context that it was given.
 */
export async function serializeOne<S extends SerializerClass & SerializerLike>(
  serializer: S,
  entity: EntityOf<S>,
  context: SerializerContext,
): Promise<ViewOf<S>> {
  const [data] = await serializeAll(serializer, [entity], context);
  return data as ViewOf<S>;
}

/** Many entities; their relations are loaded by one query each, and each serializer is built once, not once per entity. */
export async function serializeMany<S extends SerializerClass & SerializerLike>(
  serializer: S,
  entities: readonly EntityOf<S>[],
  context: SerializerContext,
): Promise<ViewOf<S>[]> {
  return (await serializeAll(serializer, entities, context)) as ViewOf<S>[];
}

/** The same where the types are not known. */
export async function serializeAll(
  serializer: SerializerClass,
  entities: readonly object[],
  context: SerializerContext,
): Promise<unknown[]> {
  const shared = { ...withOneOfEach(context), rights: await askRights(serializer, context) };
  const instance: AnySerializer = shared.resolve(serializer);
  await context.unitOfWork.load(entities, instance.pathsToLoad(shared));
  return Promise.all(entities.map((entity) => instance.toData(entity, shared)));
}

/** Many rows are shown by one instance of each serializer. */
export function withOneOfEach(context: SerializerContext): SerializerContext {
  const instances = new Map<ConcreteClass, unknown>();
  const resolve = <T>(serializer: ConcreteClass<T>): T => {
    if (!instances.has(serializer as ConcreteClass))
      instances.set(serializer as ConcreteClass, context.resolve(serializer));
    return instances.get(serializer as ConcreteClass) as T;
  };
  return { ...context, resolve };
}
