import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ValidationFailed } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';
import { toInstance, unknownText } from './class-rules.js';

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
