import type { EntityMetadata } from '@mikro-orm/core';
import type { FilterOperator } from '../filters/filter-types.js';
import { type AnyFilterOptions, filtersOf, operatorsOf } from '../filters/model-filters.js';
import { type JsonSchema, objectSchema } from '../kwargs/json-schema.js';
import type { ModelShapes } from '../kwargs/own-schema.js';
import { pathOf } from '../orm/model-paths.js';
import { columnKind } from '../serializers/model-columns.js';
import { acceptedSchema, keySchema, type SchemaParts, shownSchema } from '../serializers/model-schemas.js';
import type { ConsumerClass } from './compiled-consumer.js';
import { BaseModelConsumer, settingsOf } from './model-consumer.js';

/** What a model consumer's actions take and give. */
export interface ConsumerShapes extends ModelShapes {
  readonly model: string;
  readonly serializer: string;
  readonly paginator: string | undefined;
  readonly row: JsonSchema;
  /** What `list` gives: all rows, or a page of them. */
  readonly rows: JsonSchema;
  /** A list of rows. */
  readonly several: JsonSchema;
}

/** Undefined for a consumer without a model. */
export function shapesOf(consumer: ConsumerClass, parts: SchemaParts): ConsumerShapes | undefined {
  if (!(consumer.prototype instanceof BaseModelConsumer)) return undefined;
  const { model, serializer, paginator, filters, lookupField, lookupUrlKwarg } = settingsOf(consumer.prototype);
  const meta = parts.unitOfWork.of(model).em.getMetadata(model as never) as EntityMetadata;
  const key = keySchema(meta, 'accepts');
  const row = shownSchema(serializer, parts);
  const several: JsonSchema = { type: 'array', items: row };
  return {
    model: model.name,
    serializer: serializer.name,
    paginator: paginator?.name,
    key,
    lookup: { kwarg: lookupUrlKwarg, schema: lookupField === 'pk' ? key : comparedSchema(meta, lookupField) },
    row,
    rows: paginator ? paginator.pageSchema(row) : several,
    several,
    data: (isPartial) => acceptedSchema(serializer, isPartial, parts),
    filters: filterKwargs(meta, filters ?? {}),
    followed: followedSchema(meta, filters ?? {}),
  };
}

function filterKwargs(
  meta: EntityMetadata,
  { fields = [], ordering = [], search = [] }: AnyFilterOptions,
): Readonly<Record<string, JsonSchema>> {
  const declared = operatorsOf(fields);
  const columns = declared.map(([name, operators]) => [name, filterSchema(meta, name, operators)] as const);
  const orders = { enum: ordering.flatMap((name) => [name, `-${name}`]) };
  return {
    ...(declared.length > 0 && { filter: { type: 'object', properties: Object.fromEntries(columns) } }),
    ...(ordering.length > 0 && { ordering: oneOrMany(orders) }),
    ...(search.length > 0 && { search: text }),
  };
}

function followedSchema(meta: EntityMetadata, options: AnyFilterOptions): JsonSchema {
  const names = filtersOf(meta, options).followedNames;
  const followed = operatorsOf(options.fields ?? []).filter(([name]) => names.includes(name));
  return objectSchema(Object.fromEntries(followed.map(([name, each]) => [name, filterSchema(meta, name, each)])), []);
}

const text: JsonSchema = { type: 'string', maxLength: 200 };

/** A value alone, several of them, or an object of operators. */
function filterSchema(meta: EntityMetadata, name: string, operators: readonly FilterOperator[]): JsonSchema {
  const value = comparedSchema(meta, name);
  const operands = Object.fromEntries(operators.map((operator) => [operator, operandSchema(operator, value)]));
  const alone = operators.includes('exact') ? [value] : [];
  const several = operators.includes('in') ? [{ type: 'array', items: value }] : [];
  return { anyOf: [...alone, ...several, objectSchema(operands, [])] };
}

function operandSchema(operator: FilterOperator, value: JsonSchema): JsonSchema {
  switch (operator) {
    case 'in':
      return { type: 'array', items: value };
    case 'not':
      return oneOrMany(value);
    case 'between':
      return { type: 'array', items: value, minItems: 2, maxItems: 2 };
    case 'is_null':
      return { type: 'boolean' };
    case 'contains':
    case 'icontains':
    case 'starts_with':
    case 'istarts_with':
      return text;
    default:
      return value;
  }
}

function comparedSchema(meta: EntityMetadata, name: string): JsonSchema {
  const prop = pathOf(meta, name)?.last;
  if (!prop) return {};
  return prop.targetMeta ? keySchema(prop.targetMeta, 'accepts') : columnKind(prop).accepts;
}

function oneOrMany(schema: JsonSchema): JsonSchema {
  return { anyOf: [schema, { type: 'array', items: schema }] };
}
