import type { EntityMetadata, EntityProperty } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { type ColumnKind, columnKind } from './model-columns.js';
import type { ModelSerializerOptions } from './model-types.js';
import type { SerializerClass } from './serializer.js';

export interface ModelField {
  readonly name: string;
  readonly kind: 'column' | 'one' | 'many' | 'computed';
  readonly isShown: boolean;
  readonly isAccepted: boolean;
  readonly isRequired: boolean;
  readonly isNullable: boolean;
  readonly isLazy: boolean;
  readonly column: ColumnKind;
  /** Of a relation. */
  readonly target?: EntityMetadata;
  readonly nested?: SerializerClass;
  /** What a computed field reads of its row: `text`, `room.name`. */
  readonly reads?: readonly string[];
}

const anything: ColumnKind = { check: (value) => ({ value }), accepts: {}, shows: {} };

/** The fields of a model serializer, as its options and the entity's columns make them. */
export function modelFields(
  name: string,
  meta: EntityMetadata,
  options: ModelSerializerOptions<object>,
): readonly ModelField[] {
  const declared = [...new Set([...options.fields, ...(options.writeOnly ?? [])])] as string[];
  const stored = declared.map((field) => storedField(name, meta, options, field));
  const computed = (options.computed ?? []).map((field) => computedField(name, meta, field, options.reads?.[field]));
  return [...stored, ...computed];
}

function storedField(
  serializer: string,
  meta: EntityMetadata,
  options: ModelSerializerOptions<object>,
  name: string,
): ModelField {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (!prop) {
    throw new ConfigurationError({
      class: serializer,
      member: name,
      reason: `${meta.className} has no property of this name that MikroORM knows.`,
      remedy: 'Remove it from the fields, list it as computed and write its method, or decorate the property.',
    });
  }
  const nested = (options.nested as Record<string, SerializerClass> | undefined)?.[name];
  const listed = (list: readonly string[] | undefined): boolean => list?.includes(name) ?? false;
  const isAccepted = !listed(options.readOnly) && !nested && !isMadeByDatabase(prop);
  return {
    name,
    kind: kindOf(prop),
    isShown: !listed(options.writeOnly),
    isAccepted,
    isRequired: isAccepted && !listed(options.optional) && isRequired(prop) && !hasInitializer(meta, name),
    isNullable: prop.nullable ?? false,
    isLazy: prop.lazy ?? false,
    column: columnKind(prop),
    ...(prop.targetMeta && { target: prop.targetMeta }),
    ...(nested && { nested }),
  };
}

function computedField(
  serializer: string,
  meta: EntityMetadata,
  name: string,
  reads: readonly string[] | undefined,
): ModelField {
  for (const path of reads ?? []) checkRead(serializer, meta, name, path);
  const never = { isAccepted: false, isRequired: false, isNullable: false, isLazy: false };
  return { name, kind: 'computed', isShown: true, ...never, column: anything, ...(reads && { reads }) };
}

/** @throws ConfigurationError for a path that does not lead to a column */
function checkRead(serializer: string, meta: EntityMetadata, member: string, path: string, left = path): void {
  const [name = '', ...inner] = left.split('.');
  const prop = meta.props.find((candidate) => candidate.name === name);
  const rest = inner.join('.');
  const target = prop?.kind === 'embedded' ? undefined : prop?.targetMeta;
  if (target && rest) checkRead(serializer, target, member, path, rest);
  if ((target && rest) || (prop?.kind === 'scalar' && !rest)) return;
  throw new ConfigurationError({
    class: serializer,
    member,
    reason: `says that it reads "${path}", and ${meta.className}.${name} is ${target ? 'a relation' : 'no column'}.`,
    remedy: target ? `Name a column of it: "${path}.id".` : 'Name columns, and columns of relations: "room.name".',
  });
}

function kindOf(prop: EntityProperty): ModelField['kind'] {
  if (prop.kind === 'm:1' || prop.kind === '1:1') return 'one';
  return prop.kind === 'm:n' || prop.kind === '1:m' ? 'many' : 'column';
}

function isMadeByDatabase(prop: EntityProperty): boolean {
  return Boolean(
    prop.autoincrement ||
      prop.version ||
      prop.generated ||
      prop.formula ||
      prop.persist === false ||
      prop.kind === '1:m',
  );
}

function isRequired(prop: EntityProperty): boolean {
  if (prop.nullable || kindOf(prop) === 'many') return false;
  const hasDefault = prop.default !== undefined || prop.defaultRaw !== undefined || prop.onCreate !== undefined;
  return !hasDefault && prop.optional !== true;
}

/** `id = randomUUID()`, `createdAt = new Date()`: MikroORM infers a default only where two instances have the same value. */
function hasInitializer(meta: EntityMetadata, name: string): boolean {
  try {
    return Reflect.get(new (meta.class as ConcreteClass<object>)(), name) !== undefined;
  } catch {
    return false;
  }
}
