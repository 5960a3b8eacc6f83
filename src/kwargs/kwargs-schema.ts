import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { ConcreteClass } from '../metadata.js';

/** What may describe an action's kwargs: a class with class-validator's rules, or any Standard Schema (zod, valibot, arktype). */
export type KwargsSchema = ConcreteClass<object> | StandardSchemaV1;

/** What a schema lets through. */
export type KwargsOf<Schema extends KwargsSchema> =
  Schema extends ConcreteClass<infer Instance>
    ? Instance
    : Schema extends StandardSchemaV1
      ? StandardSchemaV1.InferOutput<Schema>
      : never;

/** What a client sends for it. */
export type KwargsInputOf<Schema extends KwargsSchema> =
  Schema extends ConcreteClass<infer Instance>
    ? Instance
    : Schema extends StandardSchemaV1
      ? StandardSchemaV1.InferInput<Schema>
      : never;

export function isStandardSchema(schema: KwargsSchema): schema is StandardSchemaV1 {
  return '~standard' in schema;
}
