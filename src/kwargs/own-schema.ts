import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { JsonSchema, Schemas } from './json-schema.js';

/** The shapes of a consumer's model: what the kwargs of the mixins are described by. */
export interface ModelShapes {
  /** What names a row. */
  readonly key: JsonSchema;
  /** What clients name a row by: the kwarg, and its values. */
  readonly lookup: { readonly kwarg: string; readonly schema: JsonSchema };
  /** What the serializer accepts of a row; of part of it, nothing is required. */
  data(isPartial: boolean): JsonSchema;
  /** What `list` may be narrowed and ordered by: the kwargs of the consumer's filters. */
  readonly filters: Readonly<Record<string, JsonSchema>>;
  /** What rows may be followed by: the filter of subscriptions. */
  readonly followed: JsonSchema;
}

/** Where a schema is described. */
export interface Described {
  readonly schemas: Schemas;
  /** The model of the consumer whose action takes the kwargs; undefined where it has none. */
  readonly model: ModelShapes | undefined;
}

/** Describes a schema of the framework's own: what it takes depends on the consumer that it stands in. */
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
