import type { EntityMetadata } from '@mikro-orm/core';
import { propertyRules } from '../kwargs/described-kwargs.js';
import { type JsonSchema, objectSchema, orNull, type Schemas } from '../kwargs/json-schema.js';
import type { Class } from '../metadata.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { columnKind } from './model-columns.js';
import type { ModelField } from './model-fields.js';
import { declaredBy, fieldsOfSerializer, inputOf } from './model-serializer.js';
import type { SerializerClass } from './serializer.js';

export interface SchemaParts {
  readonly schemas: Schemas;
  readonly unitOfWork: UnitOfWork;
}

/** The schema of what clients are shown of a row. For a serializer that the application wrote itself, nothing is known. */
export function shownSchema(serializer: SerializerClass, parts: SchemaParts): JsonSchema {
  const fields = fieldsOfSerializer(serializer, parts.unitOfWork);
  if (!fields) return {};
  return parts.schemas.refer(serializer, '', () => {
    const shown = fields.filter(({ isShown }) => isShown);
    // Clients without the rights do not get the field.
    const { fields: restricted = {} } = declaredBy(serializer)?.options.rights ?? {};
    const always = shown.filter(({ name }) => !Object.hasOwn(restricted, name));
    const entries = shown.map((field) => [field.name, shownField(field, parts)]);
    return objectSchema(
      Object.fromEntries(entries),
      always.map(({ name }) => name),
    );
  });
}

/** The schema of what clients may send for a row. */
export function acceptedSchema(shown: SerializerClass, isPartial: boolean, parts: SchemaParts): JsonSchema {
  const serializer = inputOf(shown);
  const fields = fieldsOfSerializer(serializer, parts.unitOfWork);
  if (!fields) return { type: 'object' };
  return parts.schemas.refer(serializer, isPartial ? 'Patch' : 'Input', () => {
    const accepted = fields.filter(({ isAccepted }) => isAccepted);
    const required = isPartial ? [] : accepted.filter(({ isRequired }) => isRequired);
    const rules = propertyRules(declaredBy(serializer)?.entity ?? Object);
    return objectSchema(
      Object.fromEntries(accepted.map((field) => [field.name, acceptedField(field, rules.get(field.name))])),
      required.map(({ name }) => name),
    );
  });
}

/** The schema of a row's key as it is shown. */
export function shownKey(entity: Class, { unitOfWork }: SchemaParts): JsonSchema {
  return keySchema(unitOfWork.of(entity).em.getMetadata(entity) as EntityMetadata, 'shows');
}

/** The schema of a key; a composite key is an object of its columns. */
export function keySchema(meta: EntityMetadata, side: 'accepts' | 'shows'): JsonSchema {
  const parts = meta.primaryKeys.map((name) => [name, keyPart(meta, name, side)] as const);
  const [only] = parts;
  return parts.length === 1 && only ? only[1] : objectSchema(Object.fromEntries(parts));
}

function keyPart(meta: EntityMetadata, name: string, side: 'accepts' | 'shows'): JsonSchema {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (!prop) return {};
  return prop.targetMeta ? keySchema(prop.targetMeta, side) : columnKind(prop)[side];
}

function shownField(field: ModelField, parts: SchemaParts): JsonSchema {
  const { kind, column, target, nested, embedded, isNullable } = field;
  if (embedded) {
    const shown = embedded.fields.filter(({ isShown }) => isShown);
    return embeddedSchema(field, shown, shown, (inner) => shownField(inner, parts));
  }
  const one = nested ? shownSchema(nested, parts) : target ? keySchema(target, 'shows') : column.shows;
  if (kind === 'many') return { type: 'array', items: one };
  return isNullable ? orNull(one) : one;
}

function embeddedSchema(
  { embedded, isNullable }: ModelField,
  fields: readonly ModelField[],
  required: readonly ModelField[],
  schemaOf: (field: ModelField) => JsonSchema,
): JsonSchema {
  const one = objectSchema(
    Object.fromEntries(fields.map((field) => [field.name, schemaOf(field)])),
    required.map(({ name }) => name),
  );
  const all: JsonSchema = embedded?.isList ? { type: 'array', items: one } : one;
  return isNullable ? orNull(all) : all;
}

function acceptedField(field: ModelField, rules: JsonSchema = {}): JsonSchema {
  const { kind, column, target, embedded, isNullable } = field;
  if (embedded) {
    const accepted = embedded.fields.filter(({ isAccepted }) => isAccepted);
    const required = accepted.filter(({ isRequired }) => isRequired);
    return embeddedSchema(field, accepted, required, (inner) => acceptedField(inner));
  }
  const one = target ? keySchema(target, 'accepts') : { ...column.accepts, ...rules };
  if (kind === 'many') return { type: 'array', items: one };
  return isNullable ? orNull(one) : one;
}
