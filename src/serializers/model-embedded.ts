import type { EntityManager, EntityMetadata, EntityProperty, Platform } from '@mikro-orm/core';
import { findProp } from '../orm/row.js';
import type { EmbeddedFields, ModelField } from './model-fields.js';
import { keyShape } from './model-key.js';
import { jsonBy } from './model-values.js';

// Shows an embedded value from its columns or its JSON as its entity would show it, without the entity.

type Show = (value: unknown) => unknown;

/** Whether one column holds the value, as JSON. */
export function isJsonColumn({ object, array }: EntityProperty): boolean {
  return Boolean(object || array);
}

/** Shows the driver's value of a JSON column with embedded values. */
export function embeddedJsonBy(prop: EntityProperty, fields: EmbeddedFields, em: EntityManager): Show {
  // MikroORM's own mapper knows the members' names in JSON, and which of them are dates.
  const mapped = em.getComparator().getResultMapper(prop.targetMeta as EntityMetadata);
  const one = (value: unknown): unknown => (isNone(value) ? null : mapped(value as never));
  const show = shownBy(prop, fields, em.getDriver().getPlatform());
  return (value) => {
    const json = typeof value === 'string' ? parsed(value) : value;
    return show(Array.isArray(json) ? json.map(one) : one(json));
  };
}

/** Parses JSON text. MikroORM takes a text that is no JSON for the value itself. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** @param prop the embedded property in the entity, whose members are found by name */
function shownBy(prop: EntityProperty, { fields, isList }: EmbeddedFields, platform: Platform): Show {
  const members = fields
    .filter(({ isShown }) => isShown)
    .map((field) => ({ name: field.name, show: memberBy(field, memberOf(prop, field), platform) }));
  const isKnown = knownClasses(prop);
  const showOne: Show = (value) => {
    if (isNone(value) || (isKnown && !isKnown(value))) return null;
    const shown: Record<string, unknown> = {};
    for (const { name, show } of members) {
      const member: unknown = Reflect.get(Object(value), name);
      shown[name] = isNone(member) ? null : show(member);
    }
    return shown;
  };
  if (!isList) return showOne;
  return (value) => (Array.isArray(value) ? value.map(showOne) : null);
}

function memberBy({ embedded }: ModelField, prop: EntityProperty, platform: Platform): Show {
  if (embedded) return shownBy(prop, embedded, platform);
  return prop.targetMeta ? keyBy(prop, platform) : (jsonBy(prop, platform) ?? ((value) => value));
}

/** Shows a key inside JSON, where MikroORM has relations to keys of one column only. */
function keyBy(prop: EntityProperty, platform: Platform): Show {
  const { show } = keyShape(prop, platform);
  return (value) => show(() => value);
}

/** Tests whether a value belongs to one of the classes that its property may have; undefined if there is only one class. */
export function knownClasses({ targetMeta }: EntityProperty): ((value: unknown) => boolean) | undefined {
  const { polymorphs = [], discriminatorColumn } = targetMeta ?? {};
  if (polymorphs.length === 0 || discriminatorColumn === undefined) return undefined;
  const names = new Set(polymorphs.map(({ discriminatorValue }) => String(discriminatorValue)));
  return (value) => names.has(String(Reflect.get(Object(value), discriminatorColumn)));
}

function isNone(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

/** A member of an embedded value, as a property of the entity. */
export function memberOf(prop: EntityProperty, { name }: Pick<ModelField, 'name'>): EntityProperty {
  return Reflect.get(prop.embeddedProps, name) as EntityProperty;
}

/**
 * Why an embedded value can only be shown by an entity, as the words after "because of"; undefined if its columns are enough.
 *
 * @param path of the value: `Person.address`
 * @param declared the property as its own class has it
 */
export function embeddedObstacle(
  path: string,
  prop: EntityProperty,
  { fields, class: type }: EmbeddedFields,
  em: EntityManager,
  declared = prop,
): string | undefined {
  const own = prop.targetMeta as EntityMetadata;
  if (isMadeByCode(declared)) return `${path}, which is not a plain column`;
  const classes = own.polymorphs?.length ? own.polymorphs : [em.getMetadata().find(type)];
  if (classes.some((each) => each?.forceConstructor)) return `${path}, which is made by its constructor`;
  if (own.polymorphs?.length && !isToldApart(own, fields))
    return `${path}, whose class, one of several, its columns do not determine`;
  for (const field of fields.filter(({ isShown }) => isShown)) {
    const inner = memberOf(prop, field);
    const member = findProp(own, field.name) ?? inner;
    const at = `${path}.${field.name}`;
    const reason = field.embedded
      ? embeddedObstacle(at, inner, field.embedded, em, member)
      : memberObstacle(at, inner, member);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Whether the shown fields name the class of a value, and mean the same in each of the classes. */
function isToldApart({ discriminatorColumn, properties }: EntityMetadata, fields: EmbeddedFields['fields']): boolean {
  const isMerged = Object.values(properties as Readonly<Record<string, EntityProperty>>).some(
    ({ stiMerged }) => stiMerged,
  );
  return !isMerged && fields.some(({ name, isShown }) => isShown && name === discriminatorColumn);
}

function memberObstacle(path: string, prop: EntityProperty, declared: EntityProperty): string | undefined {
  if (prop.targetMeta && !isPlainKey(prop)) return `the relation ${path}`;
  return declared.formula || isMadeByCode(declared) ? `${path}, which is not a plain column` : undefined;
}

/** Whether columns or JSON hold the key of the relation's row. */
function isPlainKey(prop: EntityProperty): boolean {
  const { polymorphic, mapToPk, targetKey, formula } = prop;
  return isOwner(prop) && !polymorphic && !mapToPk && !targetKey && !formula;
}

/** Whether the row itself holds the key of the relation. */
export function isOwner({ kind, owner }: EntityProperty): boolean {
  return kind === 'm:1' || (kind === '1:1' && owner);
}

/**
 * Whether code computes the property, so that it is not stored. MikroORM treats everything within JSON as not stored, so the property's own
 * class is asked.
 */
function isMadeByCode({ getter, setter, accessor, persist, generated }: EntityProperty): boolean {
  return Boolean(getter || setter || accessor) || (persist === false && !generated);
}

/** The properties that have columns in an embedded value, and in values nested in it. */
export function columnsWithin(prop: EntityProperty): readonly EntityProperty[] {
  return isJsonColumn(prop) ? [prop] : membersWithin(prop, columnsWithin);
}

/** All members of an embedded value that are not embedded values themselves. */
export function membersWithin(prop: EntityProperty, within = membersWithin): readonly EntityProperty[] {
  if (prop.kind !== 'embedded') return [prop];
  return Object.values(prop.embeddedProps as Readonly<Record<string, EntityProperty>>).flatMap((inner) =>
    within(inner),
  );
}
