import { inspect, types } from 'node:util';
import { Collection, type EntityMetadata, helper, Reference, Utils } from '@mikro-orm/core';
import type { ReplyClass } from '../dispatch/actions.js';
import { toView } from '../kwargs/kwargs-checker.js';
import type { Class } from '../metadata.js';
import { wasWritten } from '../orm/change-capture.js';
import { asStored } from '../orm/model-queries.js';
import { primaryKeyOf } from '../orm/row.js';
import { Page } from '../paginators/page.js';
import { askRights, isWithin } from '../serializers/field-rights.js';
import { ofKey, showKey } from '../serializers/model-key.js';
import { needsEntity, planRows, type RowPlan, ShownRow } from '../serializers/model-plan.js';
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
  returned: unknown,
  rules: ResultRules,
  around: readonly object[] = [],
): Promise<unknown> {
  const result = unwrap(returned);
  if (result instanceof ShownRow) return result.data;
  if (Array.isArray(result) && result.every((row) => row instanceof ShownRow)) return result.map(({ data }) => data);
  if (result instanceof Page) return { ...result, results: await showResult(result.results, rules) };
  if (result instanceof Collection) return showAll(result.getItems(), rules);
  if (!rules.reply && mayHoldEntities(result) && !around.includes(result))
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
    value === undefined ? value : showResult(await value, rules, around);
  if (Array.isArray(container)) return Promise.all(container.map(shown));
  const entries = Object.entries(container).map(async ([name, value]) => [name, await shown(value)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * An object or a list, of any class that JSON would show by its properties. A list of entities alone is shown in one go, its
 * relations loaded together.
 */
function mayHoldEntities(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  if (Array.isArray(value))
    return value.some((item) => !Utils.isEntity(item) && typeof item === 'object' && item !== null);
  return !Utils.isEntity(value) && !('toJSON' in value) && !ArrayBuffer.isView(value);
}

/** MikroORM's wrapper would show every column of what it wraps, and JSON nothing of a set or a map. */
function unwrap(value: unknown): unknown {
  if (Reference.isReference(value)) return value.unwrap();
  if (types.isSet(value)) return [...value];
  return types.isMap(value) ? fieldsOf(value) : value;
}

/** @throws TypeError for a key that has no text of its own: two of them would be one */
function fieldsOf(map: ReadonlyMap<unknown, unknown>): object {
  const strange = [...map.keys()].find((key) => !['string', 'number', 'bigint'].includes(typeof key));
  if (strange === undefined) return Object.fromEntries(map);
  throw new TypeError(`A Map is shown as an object: its keys are strings or numbers, not ${inspect(strange)}.`);
}

async function showAll(returned: readonly unknown[], { reply, model, context }: ResultRules): Promise<unknown[]> {
  const results = returned.map(unwrap);
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
  const views = entities.length > 0 ? await viewsOf(serializer, entities, context) : [];
  const shown = new Map<unknown, unknown>(entities.map((entity, index) => [entity, views[index]]));
  const granted = reply ? { ...context, rights: await askRights(reply, context) } : context;
  return Promise.all(
    results.map((result) => {
      if (shown.has(result)) return shown.get(result);
      return reply ? onlyFields(serializer, result, granted) : result;
    }),
  );
}

/**
 * A row that was written is shown as it is stored, and not as its entity was set: as the next read and the event will show it. So is the one
 * row of a transaction, which may have been sent what it had already.
 */
async function viewsOf(
  serializer: SerializerClass,
  entities: readonly object[],
  context: SerializerContext,
): Promise<readonly unknown[]> {
  const isOnlyOne = entities.length === 1 && context.unitOfWork.reader.transaction !== undefined;
  const mayDiffer = entities.filter((entity) => isOnlyOne || wasWritten(entity));
  if (mayDiffer.length === 0) return serializeAll(serializer, entities, context);
  const rights = await askRights(serializer, context);
  const plan = await planRows(serializer, context.unitOfWork, rights);
  const stored = new Map<object, unknown>();
  for (const entity of mayDiffer) {
    const shown = needsEntity(plan) ? undefined : await storedRow(plan, entity, { ...context, rights });
    if (shown) stored.set(entity, shown);
    else if (wasWritten(entity)) await reload(entity, context);
  }
  const others = entities.filter((entity) => !stored.has(entity));
  const views = others.length > 0 ? await serializeAll(serializer, others, context) : [];
  others.forEach((entity, index) => {
    stored.set(entity, views[index]);
  });
  return entities.map((entity) => stored.get(entity));
}

/** Undefined for a row that is gone, or that a default filter of the ORM leaves out by now. */
async function storedRow(
  plan: RowPlan,
  entity: object,
  context: SerializerContext,
): Promise<Record<string, unknown> | undefined> {
  const { queries, reader } = context.unitOfWork;
  const { meta } = plan.selection;
  if (!(entity instanceof meta.class) || (await queries.hasFilters(reader, plan.related))) return undefined;
  const where = ofKey(meta, primaryKeyOf(entity));
  const [row] = await queries.rows(reader, plan.selection, { where, limit: 1 });
  return row && plan.show(row, context);
}

async function reload(entity: object, { unitOfWork: { em } }: SerializerContext): Promise<void> {
  const { __meta: meta } = helper(entity);
  if (!helper(entity).isManaged()) return;
  const where = ofKey(meta as EntityMetadata, primaryKeyOf(entity));
  // Under forceUndefined a refresh leaves an inline value that is null by now.
  for (const { name, kind, object, array } of meta.props)
    if (kind === 'embedded' && !object && !array) Reflect.set(entity, name, undefined);
  await em.findOne(meta.class, where as never, { ...asStored, refresh: true, filters: false });
}

/** Plain data where a serializer's view is asked for: whatever else they hold stays here, however deep. */
async function onlyFields(serializer: SerializerClass, data: unknown, context: SerializerContext): Promise<unknown> {
  if (!isModelSerializer(serializer) || typeof data !== 'object' || data === null) return data;
  const { options } = serializer;
  const { fields, computed = [], writeOnly = [], nested = {} } = options;
  const hidden: readonly string[] = writeOnly;
  const shown = [...fields, ...computed].filter((name) => name in data && !hidden.includes(name));
  const entries = shown
    .filter((name) => isWithin(options, name, context.rights))
    .map(async (name) => {
      const value: unknown = await Reflect.get(data, name);
      const inner: unknown = Reflect.get(nested, name);
      if (isSerializerClass(inner)) return [name, await related(value, (one) => view(inner, one, context))] as const;
      return [name, (computed as readonly string[]).includes(name) ? value : await related(value, keyOf)] as const;
    });
  return Object.fromEntries(await Promise.all(entries));
}

/** One or many. */
async function related(value: unknown, show: (one: unknown) => unknown): Promise<unknown> {
  const items = value instanceof Collection ? value.getItems() : value;
  return Array.isArray(items) ? Promise.all(items.map((item) => show(unwrap(item)))) : show(unwrap(items));
}

async function view(serializer: SerializerClass, data: unknown, context: SerializerContext): Promise<unknown> {
  if (typeof data !== 'object' || data === null) return data;
  if (isModelSerializer(serializer) && !Utils.isEntity(data)) return onlyFields(serializer, data, context);
  return (await serializeAll(serializer, [data], context))[0];
}

/** A relation that nothing nests is its key. */
function keyOf(value: unknown): unknown {
  return Utils.isEntity<object>(value) ? showKey(helper(value).__meta as EntityMetadata, primaryKeyOf(value)) : value;
}

function isModelSerializer(serializer: SerializerClass): serializer is SerializerClass & typeof BaseModelSerializer {
  return serializer.prototype instanceof BaseModelSerializer;
}
