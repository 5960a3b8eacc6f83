import { Collection, helper, Reference } from '@mikro-orm/core';
import type { ModelField } from './model-fields.js';
import type { AnySerializer, SerializerContext } from './serializer.js';

/** The value of one field as it is shown. */
export function readField(
  serializer: AnySerializer,
  field: ModelField,
  entity: object,
  context: SerializerContext,
): unknown {
  if (field.kind === 'computed') return compute(serializer, field.name, entity, context);
  const value: unknown = Reflect.get(entity, field.name);
  if (value === null || value === undefined) return field.kind === 'many' ? [] : null;
  if (field.kind === 'column') return value;
  if (field.kind === 'one') return showRelated(field, unwrap(value), context);
  const items = value instanceof Collection ? value.getItems(false) : [];
  return settled(items.map((item) => showRelated(field, item, context)));
}

function compute(serializer: object, name: string, entity: object, context: SerializerContext): unknown {
  const method: (entity: object, context: SerializerContext) => unknown = Reflect.get(serializer, name);
  return method.call(serializer, entity, context);
}

function showRelated({ nested }: ModelField, related: object, context: SerializerContext): unknown {
  return nested ? context.resolve(nested).toData(related, context) : helper(related).getPrimaryKey();
}

function unwrap(value: unknown): object {
  return value instanceof Reference ? value.unwrap() : (value as object);
}

/** One promise where any of the values is one. */
function settled(values: unknown[]): unknown {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : values;
}
