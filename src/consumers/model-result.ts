import { Collection, Utils } from '@mikro-orm/core';
import type { ReplyClass } from '../dispatch/action-declaration.js';
import { toView } from '../kwargs/class-rules.js';
import type { Class } from '../metadata.js';
import { Page } from '../paginators/page.js';
import type { GivenRights } from '../permissions/rights.js';
import { askRights, isWithin } from '../serializers/field-rights.js';
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
 * What an action returned -> what its client may see, one by one. A declared reply decides; entities of the consumer's model
 * go through its serializer, wherever in the result they stand; any other entity shows what MikroORM does not call hidden.
 */
export async function showResult(
  result: unknown,
  rules: ResultRules,
  around: readonly object[] = [],
): Promise<unknown> {
  if (result instanceof Page) return { ...result, results: await showAll(result.results, rules) };
  if (result instanceof Collection) return showAll(result.getItems(), rules);
  if (!rules.reply && isPlain(result) && !around.includes(result))
    return showWithin(result, rules, [...around, result]);
  if (Array.isArray(result)) return showAll(result, rules);
  return (await showAll([result ?? null], rules))[0];
}

/** `{ items, count }` and lists of such. */
async function showWithin(
  container: object,
  rules: ResultRules,
  around: readonly object[],
): Promise<Record<string, unknown> | unknown[]> {
  const shown = async (value: unknown): Promise<unknown> =>
    value === undefined ? value : showResult(value, rules, around);
  if (Array.isArray(container)) return Promise.all(container.map(shown));
  const entries = Object.entries(container).map(async ([name, value]) => [name, await shown(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/** An object or a list that may hold entities. A list of entities alone is shown in one go, its relations loaded together. */
function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value))
    return value.some((item) => !Utils.isEntity(item) && typeof item === 'object' && item !== null);
  const prototype: unknown = Object.getPrototypeOf(value);
  return (prototype === Object.prototype || prototype === null) && !('toJSON' in value);
}

async function showAll(results: readonly unknown[], { reply, model, context }: ResultRules): Promise<unknown[]> {
  if (reply && !isSerializerClass(reply)) return results.map((result) => toView(reply, result));
  const serializer = reply ?? model?.serializer;
  if (!serializer) return [...results];
  // A serializer of the application's own making may be for anything, and nothing else knows what it hides.
  const showsAnything = reply !== undefined && !(reply.prototype instanceof BaseModelSerializer);
  const isItsOwn = (result: unknown): result is object =>
    Utils.isEntity(result)
      ? reply !== undefined || (model !== undefined && result instanceof model.entity)
      : showsAnything && typeof result === 'object' && result !== null;
  const entities = [...new Set(results.filter(isItsOwn))];
  const views = entities.length > 0 ? await serializeAll(serializer, entities, context) : [];
  const rights = reply ? await askRights(reply, context) : undefined;
  const shown = new Map<unknown, unknown>(entities.map((entity, index) => [entity, views[index]]));
  return results.map((result) => {
    if (shown.has(result)) return shown.get(result);
    return reply ? onlyFields(serializer, result, rights) : result;
  });
}

/** Plain data where a serializer's view is asked for: whatever else they hold stays here. */
function onlyFields(serializer: SerializerClass, data: unknown, rights: GivenRights | undefined): unknown {
  if (!(serializer.prototype instanceof BaseModelSerializer) || typeof data !== 'object' || data === null) return data;
  const { options } = serializer as unknown as typeof BaseModelSerializer;
  const { fields, computed = [], writeOnly = [] } = options;
  const shown = [...fields, ...computed].filter((name) => !(writeOnly as readonly string[]).includes(name));
  const granted = shown.filter((name) => isWithin(options, name, rights));
  return Object.fromEntries(granted.filter((name) => name in data).map((name) => [name, Reflect.get(data, name)]));
}
