import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { JsonSchema, Schemas } from './json-schema.js';

/** The shapes of a consumer's model, by which the kwargs of the mixins are described. */
export interface ModelShapes {
  /** The primary key of a row. */
  readonly key: JsonSchema;
  /** The kwarg by which clients name a row, and the schema of its values. */
  readonly lookup: { readonly kwarg: string; readonly schema: JsonSchema };
  /** The data that the serializer accepts; with `isPartial`, nothing is required. */
  data(isPartial: boolean): JsonSchema;
  /** The kwargs of `list` that filter and order it. */
  readonly filters: Readonly<Record<string, JsonSchema>>;
  /** The filter of subscriptions to the model's rows. */
  readonly followed: JsonSchema;
}

/** The place where a schema is described. */
export interface Described {
  readonly schemas: Schemas;
  /** The model of the consumer whose action takes the kwargs; undefined if it has none. */
  readonly model: ModelShapes | undefined;
}

/** Describes a schema of the framework that depends on the consumer in which it is used. */
export type Describe = (where: Described) => JsonSchema;

export const describes = Symbol('signalbox:describes');

/** A Standard Schema of the framework's own. */
export interface OwnSchema<Output> extends StandardSchemaV1<Output> {
  readonly [describes]: Describe;
}

export function ownSchema<Output>(
  validate: (value: unknown) => StandardSchemaV1.Result<Output> | Promise<StandardSchemaV1.Result<Output>>,
  describe: Describe,
): OwnSchema<Output> {
  return { '~standard': { version: 1, vendor: 'signalbox', validate }, [describes]: describe };
}
