import 'reflect-metadata';
import { createRequire } from 'node:module';
import type { StandardJSONSchemaV1, StandardSchemaV1 } from '@standard-schema/spec';
import { getMetadataStorage, ValidationTypes } from 'class-validator';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { type JsonSchema, objectSchema, type Schemas } from './json-schema.js';
import { isStandardSchema, type KwargsSchema } from './kwargs-checker.js';
import { type Described, describes, type OwnSchema } from './own-schema.js';

/**
 * The JSON Schema of an action's kwargs, as far as the schema can be described.
 *
 * @param name the prefix of the names for the definitions in another library's schema
 */
export function describeKwargs(schema: KwargsSchema, where: Described, name: string): JsonSchema {
  if (!isStandardSchema(schema)) return rulesSchema(schema, where.schemas);
  if (describes in schema) return (schema as OwnSchema<unknown>)[describes](where);
  return where.schemas.adopt(standardJsonSchema(schema), name);
}

/** The description by the schema's library (Standard JSON Schema), if it has one. */
function standardJsonSchema(schema: StandardSchemaV1): JsonSchema {
  const { jsonSchema } = schema['~standard'] as Partial<StandardJSONSchemaV1.Props>;
  try {
    return jsonSchema?.input({ target: 'draft-07' }) ?? {};
  } catch {
    return {};
  }
}

/** The JSON Schema of each rule of class-validator, by the rule's name. Other rules are not described. */
const rules: Readonly<Record<string, (...constraints: readonly never[]) => JsonSchema>> = {
  isString: () => ({ type: 'string' }),
  isInt: () => ({ type: 'integer' }),
  isNumber: () => ({ type: 'number' }),
  isBoolean: () => ({ type: 'boolean' }),
  isObject: () => ({ type: 'object' }),
  isNotEmptyObject: () => ({ type: 'object', minProperties: 1 }),
  isArray: () => ({ type: 'array' }),
  isDate: () => ({ type: 'string', format: 'date-time' }),
  isIn: (values: readonly unknown[]) => ({ enum: values }),
  isEnum: (_entity: object, values: readonly unknown[]) => ({ enum: values }),
  equals: (value: unknown) => ({ const: value }),
  min: (minimum: number) => ({ minimum }),
  max: (maximum: number) => ({ maximum }),
  isPositive: () => ({ exclusiveMinimum: 0 }),
  isNegative: () => ({ exclusiveMaximum: 0 }),
  isDivisibleBy: (divisor: number) => ({ multipleOf: divisor }),
  minLength: (minLength: number) => ({ type: 'string', minLength }),
  maxLength: (maxLength: number) => ({ type: 'string', maxLength }),
  isLength: (minLength: number, maxLength?: number) => ({
    type: 'string',
    minLength,
    ...(maxLength !== undefined && { maxLength }),
  }),
  matches: (pattern: RegExp) => ({ type: 'string', pattern: pattern.source }),
  isEmail: () => ({ type: 'string', format: 'email' }),
  isUuid: () => ({ type: 'string', format: 'uuid' }),
  isUrl: () => ({ type: 'string', format: 'uri' }),
  isDateString: () => ({ type: 'string', format: 'date-time' }),
  isIso8601: () => ({ type: 'string', format: 'date-time' }),
  isIp: () => ({ type: 'string', format: 'ip' }),
  isNumberString: () => ({ type: 'string' }),
  arrayMinSize: (minItems: number) => ({ type: 'array', minItems }),
  arrayMaxSize: (maxItems: number) => ({ type: 'array', maxItems }),
  arrayNotEmpty: () => ({ type: 'array', minItems: 1 }),
  arrayUnique: () => ({ type: 'array', uniqueItems: true }),
};

/** The JSON Schema of the objects that pass a class' rules of class-validator. */
export function rulesSchema(owner: ConcreteClass<object>, schemas: Schemas): JsonSchema {
  const all = getMetadataStorage().getTargetValidationMetadatas(owner, '', false, false);
  const defaults = defaultsOf(owner);
  const properties: Record<string, JsonSchema> = {};
  const required: string[] = [];
  for (const [name, ofProperty] of Map.groupBy(all, ({ propertyName }) => propertyName)) {
    const initial = defaults.get(name);
    properties[name] = {
      ...propertySchema(owner, name, ofProperty, schemas),
      ...(isPlain(initial) && { default: initial }),
    };
    if (!defaults.has(name) && isRequired(ofProperty)) required.push(name);
  }
  return objectSchema(properties, required);
}

/** The JSON Schema of class-validator's rules for each property, without its type. */
export function propertyRules(owner: Class): ReadonlyMap<string, JsonSchema> {
  const all = getMetadataStorage().getTargetValidationMetadatas(owner, '', false, false);
  const byName = Map.groupBy(all, ({ propertyName }) => propertyName);
  return new Map(
    [...byName].map(([name, ofProperty]) => {
      const { type: _ofColumn, ...rule } = merged(ofProperty.filter(({ each }) => !each));
      return [name, rule];
    }),
  );
}

/** The JSON Schema of what a class with class-transformer's `@Expose` shows. */
export function viewSchema(view: ConcreteClass<object>, schemas: Schemas): JsonSchema {
  const shown = transformer().getExposedProperties(view, plainToClass);
  const entries = shown.map((name) => [name, declaredSchema(view, name, schemas, (one) => viewSchema(one, schemas))]);
  return objectSchema(Object.fromEntries(entries), []);
}

function propertySchema(
  owner: ConcreteClass<object>,
  name: string,
  ofProperty: readonly ValidationMetadata[],
  schemas: Schemas,
): JsonSchema {
  const isNested = ofProperty.some(({ type }) => type === ValidationTypes.NESTED_VALIDATION);
  const declared = declaredSchema(owner, name, schemas, (one) => (isNested ? rulesSchema(one, schemas) : {}));
  const ofItems = merged(ofProperty.filter(({ each }) => each));
  const ofValue = merged(ofProperty.filter(({ each }) => !each));
  const hasItems = Object.keys(ofItems).length > 0;
  return {
    ...declared,
    ...(hasItems && { type: 'array', items: { ...declared.items, ...ofItems } }),
    ...ofValue,
  };
}

/** Merges the rules of a property: later rules add to earlier ones. */
function merged(ofProperty: readonly ValidationMetadata[]): JsonSchema {
  return Object.assign(
    {},
    ...ofProperty.map(({ name = '', constraints }) => {
      const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
      return rule?.(...((constraints ?? []) as never[])) ?? {};
    }),
  ) as JsonSchema;
}

/** The JSON Schema of a property's type, from `@Type` or from the type metadata that the compiler emitted. */
function declaredSchema(
  owner: Class,
  name: string,
  schemas: Schemas,
  make: (type: ConcreteClass<object>) => JsonSchema,
): JsonSchema {
  const declared: unknown = Reflect.getMetadata('design:type', owner.prototype, name);
  const named = transformer().findTypeMetadata(owner, name)?.typeFunction?.() ?? declared;
  const one = typeSchema(named, schemas, make);
  return declared === Array
    ? { type: 'array', ...(Object.keys(one).length > 0 && named !== Array && { items: one }) }
    : one;
}

function typeSchema(type: unknown, schemas: Schemas, make: (type: ConcreteClass<object>) => JsonSchema): JsonSchema {
  switch (type) {
    case String:
      return { type: 'string' };
    case Number:
      return { type: 'number' };
    case Boolean:
      return { type: 'boolean' };
    case Date:
      return { type: 'string', format: 'date-time' };
    case Array:
      return { type: 'array' };
    default:
      return isOwnClass(type) ? schemas.refer(type, '', () => make(type)) : {};
  }
}

function isOwnClass(type: unknown): type is ConcreteClass<object> {
  return typeof type === 'function' && type !== Object && type !== Function && type !== Promise && 'prototype' in type;
}

/** Whether a property has to be sent. It may be left out if it has `@IsOptional`, a condition or no rule but `@Allow`. */
function isRequired(ofProperty: readonly ValidationMetadata[]): boolean {
  const isConditional = ofProperty.some(({ type }) => type === ValidationTypes.CONDITIONAL_VALIDATION);
  return !isConditional && ofProperty.some(({ type }) => type !== ValidationTypes.WHITELIST);
}

/** The values that a new object has: `limit = 25`. */
function defaultsOf(owner: ConcreteClass<object>): ReadonlyMap<string, unknown> {
  try {
    return new Map(Object.entries(new owner()).filter(([, value]) => value !== undefined));
  } catch {
    return new Map();
  }
}

function isPlain(value: unknown): boolean {
  return ['string', 'number', 'boolean'].includes(typeof value) || (Array.isArray(value) && value.every(isPlain));
}

/** The part of class-transformer's metadata that is read here. */
interface TransformerNotes {
  findTypeMetadata(owner: Class, name: string): { readonly typeFunction?: () => unknown } | undefined;
  getExposedProperties(owner: Class, direction: number): readonly string[];
}

/** class-transformer's `TransformationType.PLAIN_TO_CLASS`. */
const plainToClass = 0;

let notes: TransformerNotes | undefined;

/** class-transformer's metadata, which has no public export. Without it, the schemas describe less. */
function transformer(): TransformerNotes {
  notes ??= readNotes();
  return notes;
}

function readNotes(): TransformerNotes {
  try {
    const { defaultMetadataStorage } = createRequire(import.meta.url)('class-transformer/cjs/storage.js') as {
      readonly defaultMetadataStorage: TransformerNotes;
    };
    return defaultMetadataStorage;
  } catch {
    return { findTypeMetadata: () => undefined, getExposedProperties: () => [] };
  }
}
