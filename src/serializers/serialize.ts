import type { ConcreteClass } from '../metadata.js';
import { askRights } from './field-rights.js';
import type { EntityOf, SerializerLike, ViewOf } from './model-types.js';
import type { AnySerializer, SerializerClass, SerializerContext } from './serializer.js';

/**
 * Shows one entity, after loading the relations that its serializer needs. A computed field that shows other rows calls it with the context
 * that it received.
 */
export async function serializeOne<S extends SerializerClass & SerializerLike>(
  serializer: S,
  entity: EntityOf<S>,
  context: SerializerContext,
): Promise<ViewOf<S>> {
  const [data] = await serializeAll(serializer, [entity], context);
  return data as ViewOf<S>;
}

/** Shows many entities. It loads each relation with one query, and makes each serializer once, not once per entity. */
export async function serializeMany<S extends SerializerClass & SerializerLike>(
  serializer: S,
  entities: readonly EntityOf<S>[],
  context: SerializerContext,
): Promise<ViewOf<S>[]> {
  return (await serializeAll(serializer, entities, context)) as ViewOf<S>[];
}

/** Shows many entities, for callers that do not know their types. */
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

/** A context with one instance of each serializer, for many rows. */
export function withOneOfEach(context: SerializerContext): SerializerContext {
  const instances = new Map<ConcreteClass, unknown>();
  const resolve = <T>(serializer: ConcreteClass<T>): T => {
    if (!instances.has(serializer as ConcreteClass))
      instances.set(serializer as ConcreteClass, context.resolve(serializer));
    return instances.get(serializer as ConcreteClass) as T;
  };
  return { ...context, resolve };
}
