import { type EntityManager, type EntityMetadata, type EntityProperty, isRaw } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { findProp, hasColumn } from '../orm/row.js';
import { type ColumnKind, columnKind } from './model-columns.js';
import type { DeclaredOptions } from './model-types.js';
import type { SerializerClass } from './serializer.js';

export interface ModelField {
  readonly name: string;
  /** The property's name in the entity: `address_street` for the street of an embedded address. */
  readonly property: string;
  readonly kind: 'column' | 'one' | 'many' | 'computed' | 'embedded';
  readonly isShown: boolean;
  readonly isAccepted: boolean;
  readonly isRequired: boolean;
  readonly isNullable: boolean;
  /** Whether a read of the entity leaves the column out. */
  readonly isLazy: boolean;
  /** Whether the database or code makes the value, whatever a client sends. */
  readonly isMade: boolean;
  readonly column: ColumnKind;
  /** Whether a new row has null if no value is sent. */
  readonly mayBeNone: boolean;
  /** The entity that a relation leads to. */
  readonly target?: EntityMetadata;
  readonly nested?: SerializerClass;
  /** The fields of an embedded value. */
  readonly embedded?: EmbeddedFields;
  /** For a member of an embedded value: its value if nothing is sent. If undefined, JSON leaves it out, and a column keeps its value. */
  readonly absent?: (object: object, em: EntityManager) => unknown;
  /** Whether the column counts the changes of the row (a version). */
  readonly isVersion: boolean;
  /** Whether the column's check is sufficient: the value is in a `ScalarReference`, or of a type that only the column knows. */
  readonly isChecked: boolean;
  /** Whether the relation's rows are found from the other side, which has the column. */
  readonly isInverse: boolean;
  /** The paths that a computed field reads of its row: `text`, `room.name`. */
  readonly reads?: readonly string[];
}

/** An object that is stored in columns or JSON of its entity's row. */
export interface EmbeddedFields {
  readonly class: Class;
  readonly fields: readonly ModelField[];
  readonly isList: boolean;
  /** Whether it has columns of its own, instead of JSON. */
  readonly isInline: boolean;
}

const anything: ColumnKind = { check: (value) => ({ value }), show: (value) => value, accepts: {}, shows: {} };

/** The fields of a model serializer, from its options and the entity's columns. */
export function modelFields(name: string, meta: EntityMetadata, options: DeclaredOptions): readonly ModelField[] {
  const declared = [...new Set([...options.fields, ...(options.writeOnly ?? [])])];
  const stored = declared.map((field) => storedField(name, meta, options, field));
  const computed = (options.computed ?? []).map((field) => computedField(name, meta, field, options.reads?.[field]));
  return [...stored, ...computed];
}

function storedField(serializer: string, meta: EntityMetadata, options: DeclaredOptions, name: string): ModelField {
  const prop = meta.props.find((candidate) => candidate.name === name);
  if (!prop) {
    throw new ConfigurationError({
      class: serializer,
      member: name,
      reason: `${meta.className} has no property of this name that MikroORM knows.`,
      remedy: 'Remove it from the fields, list it as computed and write its method, or decorate the property.',
    });
  }
  const nested = options.nested?.[name];
  const listed = (list: readonly string[] | undefined): boolean => list?.includes(name) ?? false;
  const isAccepted = !options.input && !listed(options.readOnly) && !nested && !isMadeByDatabase(prop);
  const field = fieldOf(meta, prop, isAccepted);
  refuseUnclear(serializer, meta, name, prop, field);
  return {
    ...field,
    isShown: !listed(options.writeOnly),
    isRequired: field.isRequired && !listed(options.optional),
    ...(nested && { nested }),
  };
}

/**
 * @param meta of the entity, or of the class that is embedded in it
 * @param declared the property in that class; in an entity that may lack the whole value, each of its columns may be null
 */
function fieldOf(
  meta: EntityMetadata,
  prop: EntityProperty,
  isAccepted: boolean,
  declared: EntityProperty = prop,
): ModelField {
  const kind = kindOf(prop);
  const { name } = declared;
  const isRelation = kind === 'one' || kind === 'many';
  return {
    name,
    property: prop.name,
    kind,
    isShown: true,
    isAccepted,
    isRequired: isAccepted && !prop.version && isRequired(declared, prop) && !hasInitializer(meta, name),
    isNullable: declared.nullable ?? false,
    mayBeNone: Boolean(declared.nullable) && !hasInitializer(meta, name),
    isLazy: Boolean(prop.lazy) && hasColumn(prop),
    isMade: isMadeByDatabase(declared),
    isVersion: prop.version ?? false,
    isChecked: kind === 'column' && Boolean(prop.ref || (prop.customType && prop.runtimeType !== 'Date')),
    isInverse: prop.kind === '1:1' && !prop.owner,
    column: kind === 'column' ? columnKind(prop) : anything,
    ...(isRelation && prop.targetMeta && { target: prop.targetMeta }),
    ...(kind === 'embedded' && { embedded: embeddedFields(prop, isAccepted) }),
  };
}

/** The fields of an embedded value, each with its column in the entity, or its place in JSON. */
function embeddedFields(prop: EntityProperty, isAccepted: boolean): EmbeddedFields {
  const own = prop.targetMeta as EntityMetadata;
  const fields = Object.entries(embeddedProps(prop)).map(([name, inner]): ModelField => {
    const declared: EntityProperty = findProp(own, name) ?? inner;
    const field = fieldOf(own, inner, isAccepted && !isMadeByDatabase(declared), declared);
    return { ...field, isShown: !inner.hidden, absent: absentBy(inner, declared) };
  });
  return { class: own.class, fields, isList: prop.array ?? false, isInline: !prop.object && !prop.array };
}

function absentBy({ embeddedPath }: EntityProperty, declared: EntityProperty): NonNullable<ModelField['absent']> {
  const { onCreate, default: value, defaultRaw } = declared;
  if (onCreate) return (object, em) => onCreate(object, em);
  if (value !== undefined && value !== null && !isRaw(value)) return () => value;
  const missing = embeddedPath || defaultRaw !== undefined ? undefined : null;
  return () => missing;
}

function embeddedProps(prop: EntityProperty): Readonly<Record<string, EntityProperty>> {
  return prop.embeddedProps;
}

/** @throws ConfigurationError for a field whose JSON has no defined meaning, and for a field that the ORM could not write */
function refuseUnclear(
  serializer: string,
  meta: EntityMetadata,
  member: string,
  prop: EntityProperty,
  field: ModelField,
): void {
  if (field.isAccepted && prop.kind === 'm:n') refuseUnlinkable(serializer, member, [meta, prop.targetMeta]);
  const found = field.embedded ? (lostWithin(prop) ?? unclear(prop, field)) : unclear(prop, field);
  if (found) throw new ConfigurationError({ class: serializer, member, ...found });
}

/** Why a field is refused, and what to do instead. */
interface Refusal {
  readonly reason: string;
  readonly remedy: string;
}

const ownType =
  'List it as readOnly, or give the property a type of your own, a class that extends Type: it decides which values are valid.';

function holds(name: string, { reason, remedy }: Refusal): Refusal {
  return { reason: `holds ${name}, which ${reason}`, remedy };
}

/** The first member of an embedded value that MikroORM 7.2 reads differently than it wrote it. No serializer can show it correctly. */
function lostWithin(prop: EntityProperty): Refusal | undefined {
  const own = prop.targetMeta as EntityMetadata;
  for (const [name, inner] of Object.entries(embeddedProps(prop))) {
    const declared: EntityProperty = findProp(own, name) ?? inner;
    const found = inner.kind === 'embedded' ? lostWithin(inner) : lost(inner, declared, prop);
    if (found) return holds(name, found);
  }
  return undefined;
}

function lost(prop: EntityProperty, declared: EntityProperty, around: EntityProperty): Refusal | undefined {
  if (prop.kind === 'scalar' && prop.ref)
    return {
      reason: 'is in a reference: within embedded values MikroORM writes the reference, and not its value.',
      remedy: 'Declare it without ref: true.',
    };
  if (prop.getter && !prop.setter && declared.persist !== false)
    return {
      reason: 'is a getter: MikroORM stores its value, but cannot set it when it reads the row.',
      remedy: 'Declare it with persist: false, or give it a setter.',
    };
  if (prop.version)
    return {
      reason: 'is a version: MikroORM counts those of entities only.',
      remedy: 'Declare the version in the entity.',
    };
  if (prop.embeddedPath) return lostInJson(prop, declared);
  if (prop.hasConvertToJSValueSQL)
    return {
      reason: 'is of a type that reads its column by SQL: MikroORM does so for columns of entities only.',
      remedy: 'Read it by convertToJSValue, without convertToJSValueSQL, or declare it in the entity.',
    };
  if (!declared.generated || !around.nullable) return undefined;
  return {
    reason: 'is a generated column: MikroORM writes null into it where the whole value is null.',
    remedy: 'Declare it in the entity, or an embedded value that is not nullable.',
  };
}

function lostInJson(prop: EntityProperty, { generated }: EntityProperty): Refusal | undefined {
  if (generated)
    return { reason: 'is a generated column, and JSON has no columns.', remedy: 'Declare it without generated.' };
  const kind = columnKind(prop);
  if (kind.lostInJson === undefined) return undefined;
  return {
    reason: `is stored as JSON, from which MikroORM reads ${kind.lostInJson.readAs}.`,
    remedy: `Declare it as ${kind.lostInJson.instead}.`,
  };
}

/**
 * Refuses many-to-many relations by bigint keys of several columns. MikroORM 7.2 compares links by their JSON, which cannot hold a bigint;
 * keys of one column it converts to text before.
 */
function refuseUnlinkable(serializer: string, member: string, ends: readonly (EntityMetadata | undefined)[]): void {
  for (const meta of ends) {
    const key = meta?.compositePK
      ? meta.getPrimaryProps(true).find(({ runtimeType }) => /^bigint$/i.test(runtimeType))
      : undefined;
    if (!meta || !key) continue;
    throw new ConfigurationError({
      class: serializer,
      member,
      reason: `is accepted from clients, but MikroORM links no rows of ${meta.className}: its key has several columns, and ${key.name} is a bigint.`,
      remedy: `Let ${key.name} be a text, @PrimaryKey({ type: new BigIntType('string') }), or list ${member} as readOnly.`,
    });
  }
}

function unclear(prop: EntityProperty, field: ModelField): Refusal | undefined {
  if (prop.polymorphic && !field.embedded)
    return {
      reason: 'refers to rows of several classes, and a key alone does not say of which.',
      remedy: 'Show it by a computed field that says the class and the key, and set it in performCreate.',
    };
  if (!field.isAccepted) return undefined;
  const accepted = (reason: string): Refusal => ({
    reason: `is accepted from clients, but ${reason}.`,
    remedy: ownType,
  });
  if (field.column.refusal !== undefined) return accepted(field.column.refusal);
  if (!field.embedded) return undefined;
  if (prop.targetMeta?.polymorphs?.length) return accepted('is of one of several embeddable classes');
  const props = embeddedProps(prop);
  for (const inner of field.embedded.fields) {
    const own = props[inner.name];
    const found = inner.target ? accepted('is a relation') : own && unclear(own, inner);
    if (found) return holds(inner.name, found);
  }
  return undefined;
}

function computedField(
  serializer: string,
  meta: EntityMetadata,
  name: string,
  reads: readonly string[] | undefined,
): ModelField {
  for (const path of reads ?? []) checkRead(serializer, meta, name, path);
  const never = {
    isAccepted: false,
    isRequired: false,
    isNullable: false,
    mayBeNone: false,
    isLazy: false,
    isMade: true,
    isVersion: false,
    isChecked: false,
    isInverse: false,
  };
  return { name, property: name, kind: 'computed', isShown: true, ...never, column: anything, ...(reads && { reads }) };
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
  if (prop.kind === 'embedded') return 'embedded';
  return prop.kind === 'm:n' || prop.kind === '1:m' ? 'many' : 'column';
}

function isMadeByDatabase(prop: EntityProperty): boolean {
  return Boolean(prop.autoincrement || prop.generated || prop.formula || prop.persist === false || prop.kind === '1:m');
}

/** @param column of the property in the entity; defaults of the database do not apply inside JSON */
function isRequired(prop: EntityProperty, { embeddedPath }: EntityProperty): boolean {
  if (prop.nullable || kindOf(prop) === 'many') return false;
  const isRawOnly = prop.default === undefined || prop.default === null || isRaw(prop.default);
  const hasDefault = isRawOnly ? prop.defaultRaw !== undefined && !embeddedPath : true;
  return !hasDefault && prop.onCreate === undefined && prop.optional !== true;
}

/**
 * Whether code sets the property of a new entity: `id = randomUUID()`, `createdAt = new Date()`. MikroORM infers a default only if two
 * instances have the same value.
 */
function hasInitializer(meta: EntityMetadata, name: string): boolean {
  try {
    return Reflect.get(new (meta.class as ConcreteClass<object>)(), name) !== undefined;
  } catch {
    return false;
  }
}

/** The field, and the fields of the embedded values in it. */
export function fieldsWithin(field: ModelField): readonly ModelField[] {
  return [field, ...(field.embedded?.fields ?? []).flatMap(fieldsWithin)];
}
