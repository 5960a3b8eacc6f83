import 'reflect-metadata';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, type ValidationError, ValidationTypes, validate } from 'class-validator';
import { ValidationFailed } from '../errors.js';
import type { Class, ConcreteClass } from '../metadata.js';

/** A schema of an action's kwargs: a class with class-validator's rules, or any Standard Schema (zod, valibot, arktype). */
export type KwargsSchema = ConcreteClass<object> | StandardSchemaV1;

/** The type of checked kwargs: the output of their schema. */
export type KwargsOf<Schema extends KwargsSchema> =
  Schema extends ConcreteClass<infer Instance>
    ? Instance
    : Schema extends StandardSchemaV1
      ? StandardSchemaV1.InferOutput<Schema>
      : never;

/** The type of the kwargs that a client sends. */
export type KwargsInputOf<Schema extends KwargsSchema> =
  Schema extends ConcreteClass<infer Instance>
    ? Instance
    : Schema extends StandardSchemaV1
      ? StandardSchemaV1.InferInput<Schema>
      : never;

export function isStandardSchema(schema: KwargsSchema): schema is StandardSchemaV1 {
  return '~standard' in schema;
}

export interface CheckedKwargs {
  readonly value: unknown;
  /** Unknown names that the client sent. */
  readonly dropped: readonly string[];
}

/**
 * Checks kwargs. Returns an instance of the class, or the output of the schema.
 *
 * @param strict refuses names that the schema does not know
 * @throws ValidationFailed with `{field: [texts]}`
 */
export async function checkKwargs(
  schema: KwargsSchema,
  raw: Readonly<Record<string, unknown>>,
  { strict }: { readonly strict: boolean },
): Promise<CheckedKwargs> {
  const value = isStandardSchema(schema)
    ? await throughSchema(schema, raw)
    : await toInstance(schema, raw, strict ? 'refuse' : 'drop');
  const dropped = Object.keys(raw).filter((name) => !isKnown(value, name));
  if (strict) refuseUnknown(dropped);
  return { value, dropped };
}

/** @throws ValidationFailed if there is any unknown name */
export function refuseUnknown(names: readonly string[]): void {
  if (names.length === 0) return;
  throw ValidationFailed.of(Object.fromEntries(names.map((name) => [name, [unknownText]])));
}

/** Whether the value has a property or an accessor of this name. Members of every object, and methods, do not count. */
function isKnown(value: unknown, name: string): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.hasOwn(value, name) || (name in value && typeof Reflect.get(value, name) !== 'function');
}

async function throughSchema(schema: StandardSchemaV1, raw: unknown): Promise<unknown> {
  const result = await schema['~standard'].validate(raw);
  if (!result.issues) return result.value;
  const texts = Map.groupBy(result.issues, fieldOf);
  throw ValidationFailed.of(Object.fromEntries([...texts].map(([field, issues]) => [field, issues.map(textOf)])));
}

function fieldOf({ path = [] }: StandardSchemaV1.Issue): string {
  return path.map((part) => String(typeof part === 'object' ? part.key : part)).join('.') || 'non_field_errors';
}

function textOf({ message }: StandardSchemaV1.Issue): string {
  return message;
}

type Texts = Record<string, string[]>;

/** The error text for an unknown name. */
const unknownText = 'This field is not known.';

/** Whether class-validator has a rule for the class or for a class that it extends. */
export function hasRules(owner: Class): boolean {
  return getMetadataStorage().getTargetValidationMetadatas(owner, '', false, false).length > 0;
}

/**
 * Turns a plain object into a checked instance. Nothing is converted unless a `@Type` says so: `"5"` is no integer.
 *
 * @param unknown `drop` leaves out names without a rule, at any depth; `refuse` answers them with 400
 * @throws ValidationFailed
 */
async function toInstance<T extends object>(
  owner: ConcreteClass<T>,
  raw: Readonly<Record<string, unknown>>,
  unknown: 'drop' | 'refuse',
): Promise<T> {
  const instance = converted(owner, raw);
  const failures = await validate(instance, {
    whitelist: true,
    forbidNonWhitelisted: unknown === 'refuse',
    forbidUnknownValues: true,
    validationError: { target: false, value: false },
  });
  const texts = { ...textsOfShape(instance), ...textsOfRules(failures) };
  if (Object.keys(texts).length > 0) throw ValidationFailed.of(texts);
  return instance;
}

/** The error texts of a class' rules for these properties. Properties without a value here are not checked. */
export async function checkProperties(owner: Class, values: Readonly<Record<string, unknown>>): Promise<Texts> {
  if (!hasRules(owner)) return {};
  // The object is no instance, because constructors and the ORM's accessors must not run here.
  const bearer: object = Object.create(owner.prototype);
  for (const [name, value] of Object.entries(values)) {
    Object.defineProperty(bearer, name, { value, enumerable: true });
  }
  const failures = await validate(bearer, {
    skipUndefinedProperties: true,
    validationError: { target: false, value: false },
  });
  return textsOfRules(failures.filter(({ property }) => property in values));
}

/** The view of a value: only properties that the class exposes with `@Expose` (class-transformer). */
export function toView<T>(view: ConcreteClass<T>, value: unknown): unknown {
  return plainToInstance(view, value, { excludeExtraneousValues: true });
}

/** Converts a plain object. If a conversion throws (a `@Transform`, or `@Type(() => Number)` of an object), the value is invalid. */
function converted<T>(owner: ConcreteClass<T>, raw: Readonly<Record<string, unknown>>): T {
  try {
    return plainToInstance(owner, raw, { enableImplicitConversion: false });
  } catch (cause) {
    throw new ValidationFailed(undefined, { cause, errors: [{ non_field_errors: ['A value could not be read.'] }] });
  }
}

/**
 * Checks lists against the declared type of each property: class-validator's rules accept one value for a list of them, and a list for one
 * value.
 */
function textsOfShape(instance: object, path = ''): Texts {
  const texts: Texts = {};
  for (const [name, value] of Object.entries(instance)) {
    const wrong = wrongShape(Reflect.getMetadata('design:type', instance, name), value);
    if (wrong) texts[`${path}${name}`] = [`${name} ${wrong}.`];
    else if (Array.isArray(value) && isNested(instance, name))
      Object.assign(texts, textsOfItems(value, `${path}${name}.`));
    if (typeof value === 'object' && value !== null) Object.assign(texts, textsOfShape(value, `${path}${name}.`));
  }
  return texts;
}

/** Whether another class has the rules of the property's value, or of each of its items. */
function isNested(instance: object, name: string): boolean {
  const rules = getMetadataStorage().getTargetValidationMetadatas(instance.constructor, '', false, false);
  return rules.some(({ propertyName, type }) => propertyName === name && type === ValidationTypes.NESTED_VALIDATION);
}

/** Checks the items of a list: class-validator would accept lists nested in it. */
function textsOfItems(items: readonly unknown[], path: string): Texts {
  const lists = [...items.entries()].filter(([, item]) => Array.isArray(item));
  return Object.fromEntries(lists.map(([index]) => [`${path}${index}`, [`${index} must not be an array.`]]));
}

function wrongShape(declared: unknown, value: unknown): string | undefined {
  if (declared === undefined || declared === Object || value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return declared === Array ? undefined : 'must not be an array';
  return declared === Array ? 'must be an array' : undefined;
}

/** The error texts by their paths in the tree of failures: `lines.0.amount`. */
function textsOfRules(failures: readonly ValidationError[], path = ''): Texts {
  const texts: Texts = {};
  for (const { property, constraints, children } of failures) {
    const name = `${path}${property}`;
    if (constraints) texts[name] = Object.entries(constraints).map(([rule, text]) => textOfRule(rule, text));
    Object.assign(texts, textsOfRules(children ?? [], `${name}.`));
  }
  return texts;
}

/** The text of a failed rule. Unknown names have the text that other kinds of kwargs give. */
function textOfRule(rule: string, text: string): string {
  if (rule === ValidationTypes.WHITELIST) return unknownText;
  return text.endsWith('.') ? text : `${text}.`;
}
