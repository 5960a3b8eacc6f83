import 'reflect-metadata';
import { plainToInstance } from 'class-transformer';
import { getMetadataStorage, type ValidationError, ValidationTypes, validate } from 'class-validator';
import { ValidationFailed } from '../errors.js';
import type { Class, ConcreteClass } from '../metadata.js';

type Texts = Record<string, string[]>;

/** The error text for an unknown name. */
export const unknownText = 'This field is not known.';

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
export async function toInstance<T extends object>(
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
  const texts = { ...textsOfShape(instance), ...textsOf(failures) };
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
  return textsOf(failures.filter(({ property }) => property in values));
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
function textsOf(failures: readonly ValidationError[], path = ''): Texts {
  const texts: Texts = {};
  for (const { property, constraints, children } of failures) {
    const name = `${path}${property}`;
    if (constraints) texts[name] = Object.entries(constraints).map(([rule, text]) => textOf(rule, text));
    Object.assign(texts, textsOf(children ?? [], `${name}.`));
  }
  return texts;
}

/** The text of a failed rule. Unknown names have the text that other kinds of kwargs give. */
function textOf(rule: string, text: string): string {
  if (rule === ValidationTypes.WHITELIST) return unknownText;
  return text.endsWith('.') ? text : `${text}.`;
}
