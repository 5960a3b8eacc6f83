import { Utils } from '@mikro-orm/core';
import type { ReplyClass } from '../dispatch/action-declaration.js';
import { toView } from '../kwargs/class-rules.js';
import type { Class } from '../metadata.js';
import { BaseModelSerializer } from '../serializers/model-serializer.js';
import { serializeAll } from '../serializers/serialize.js';
import { isSerializerClass, type SerializerClass, type SerializerContext } from '../serializers/serializer.js';

export interface ResultRules {
  /** What the action or its reply declared. */
  readonly reply: ReplyClass | undefined;
  /** That of the consumer's own model. */
  readonly model: { readonly entity: Class; readonly serializer: SerializerClass } | undefined;
  readonly context: SerializerContext;
}

/**
 * What an action returned -> what its client may see. A declared reply decides; entities of the consumer's model go through
 * its serializer; any other entity shows what MikroORM does not call hidden.
 */
export async function showResult(result: unknown, rules: ResultRules): Promise<unknown> {
  if (result === undefined || result === null) return null;
  if (!Array.isArray(result)) return (await showAll([result], rules))[0];
  return showAll(result, rules);
}

async function showAll(
  results: readonly unknown[],
  { reply, model, context }: ResultRules,
): Promise<readonly unknown[]> {
  const serializer = isSerializerClass(reply) ? reply : undefined;
  if (reply && !serializer) return results.map((result) => toView(reply, result));
  const entities = results.filter((result): result is object => Utils.isEntity(result));
  if (entities.length < results.length)
    return serializer ? results.map((result) => onlyFields(serializer, result)) : results;
  if (serializer) return serializeAll(serializer, entities, context);
  const isModel = model && entities.every((entity) => entity instanceof model.entity);
  return isModel ? serializeAll(model.serializer, entities, context) : entities;
}

/** Plain data where a serializer's view is asked for: whatever else they hold stays here. */
function onlyFields(serializer: SerializerClass, data: unknown): unknown {
  if (!(serializer.prototype instanceof BaseModelSerializer) || typeof data !== 'object' || data === null) return data;
  const { fields, computed = [], writeOnly = [] } = (serializer as unknown as typeof BaseModelSerializer).options;
  const shown = [...fields, ...computed].filter((name) => !(writeOnly as readonly string[]).includes(name));
  return Object.fromEntries(shown.filter((name) => name in data).map((name) => [name, Reflect.get(data, name)]));
}
