import type { JsonSchema } from '../../kwargs/json-schema.js';
import type {
  ActionDescription,
  ApplicationDescription,
  ObserverDescription,
  RouteDescription,
  StreamDescription,
} from '../../server/description.js';

export type { ActionDescription, JsonSchema, ObserverDescription, RouteDescription, StreamDescription };

/** The page's knowledge of the application. */
export class Api {
  constructor(readonly description: ApplicationDescription) {}

  get routes(): readonly RouteDescription[] {
    return this.description.routes;
  }

  /** The schema that a reference leads to; other schemas unchanged. */
  resolve(schema: JsonSchema): JsonSchema {
    let at = schema;
    for (let depth = 0; at.$ref !== undefined && depth < 20; depth += 1) {
      at = this.description.schemas[at.$ref.slice('#/schemas/'.length)] ?? {};
    }
    return at;
  }

  /** A schema in a few words: `string`, `RoomSerializer`, `list of integer`. */
  worded(schema: JsonSchema | null): string {
    if (schema === null) return 'anything';
    const { $ref, type, enum: values, items, anyOf } = schema;
    if ($ref !== undefined) return $ref.slice('#/schemas/'.length);
    if ('const' in schema) return JSON.stringify(schema['const']);
    if (values) return values.map((value) => JSON.stringify(value)).join(' | ');
    if (anyOf) return anyOf.map((one) => this.worded(one)).join(' or ');
    if (type === 'array') return `list of ${items ? this.worded(items) : 'anything'}`;
    if (type === undefined) return 'anything';
    return [type].flat().join(' or ');
  }
}

export async function loadApi(): Promise<Api> {
  const response = await fetch('description.json');
  if (!response.ok) throw new Error(await response.text());
  return new Api((await response.json()) as ApplicationDescription);
}
