import type { EntityMetadata } from '@mikro-orm/core';
import type { JsonSchema } from '../kwargs/json-schema.js';
import type { ModelShapes } from '../kwargs/own-schema.js';
import { columnKind } from '../serializers/model-columns.js';
import { acceptedSchema, keySchema, type SchemaParts, shownSchema } from '../serializers/model-schemas.js';
import type { ConsumerClass } from './compiled-consumer.js';
import { BaseModelConsumer } from './model-consumer.js';

/** What a model consumer's actions take and give. */
export interface ConsumerShapes extends ModelShapes {
  readonly model: string;
  readonly serializer: string;
  readonly paginator: string | undefined;
  /** What clients name a row by: the kwarg, and its values. */
  readonly lookup: { readonly kwarg: string; readonly schema: JsonSchema };
  readonly row: JsonSchema;
  /** What `list` gives: all rows, or a page of them. */
  readonly rows: JsonSchema;
}

/** Undefined for a consumer without a model. */
export function shapesOf(consumer: ConsumerClass, parts: SchemaParts): ConsumerShapes | undefined {
  if (!(consumer.prototype instanceof BaseModelConsumer)) return undefined;
  const { model, serializer, paginator, filters, lookupField, lookupUrlKwarg } =
    consumer as unknown as typeof BaseModelConsumer;
  const meta = parts.unitOfWork.of(model).em.getMetadata(model as never) as EntityMetadata;
  const key = keySchema(meta, 'accepts');
  const row = shownSchema(serializer, parts);
  return {
    model: model.name,
    serializer: serializer.name,
    paginator: paginator?.name,
    key,
    lookup: { kwarg: lookupUrlKwarg, schema: lookupField === 'pk' ? key : comparedSchema(meta, lookupField) },
    row,
    rows: paginator ? paginator.pageSchema(row) : { type: 'array', items: row },
    data: (isPartial) => acceptedSchema(serializer, isPartial, parts),
    filters: filterKwargs(meta, filters ?? {}),
  };
}

function filterKwargs(
  meta: EntityMetadata,
  { fields = [], ordering = [], search = [] }: NonNullable<typeof BaseModelConsumer.filters>,
): Readonly<Record<string, JsonSchema>> {
  const columns = fields.map((name) => [name, oneOrMany(comparedSchema(meta, name))] as const);
  const orders = { enum: ordering.flatMap((name) => [name, `-${name}`]) };
  return {
    ...(fields.length > 0 && { filter: { type: 'object', properties: Object.fromEntries(columns) } }),
    ...(ordering.length > 0 && { ordering: oneOrMany(orders) }),
    ...(search.length > 0 && { search: { type: 'string', maxLength: 200 } }),
  };
}

function comparedSchema(meta: EntityMetadata, name: string): JsonSchema {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (!prop) return {};
  return prop.targetMeta ? keySchema(prop.targetMeta, 'accepts') : columnKind(prop).accepts;
}

function oneOrMany(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'array', items: schema }] };
}
