import type { Class } from '../metadata.js';

/** The part of JSON Schema (draft 7) that the description of an application uses. `$ref` is `#/schemas/Name`. */
export interface JsonSchema {
  /** `#/schemas/Name`: see `ApplicationDescription.schemas`. */
  readonly $ref?: string;
  /** The type of the value, or all types that it may have, such as `['string', 'null']`. */
  readonly type?: string | readonly string[];
  /** The schemas of an object's members, by name. */
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  /** The names of the members that an object must have. */
  readonly required?: readonly string[];
  /** The schema of each item of a list. */
  readonly items?: JsonSchema;
  /** All allowed values. */
  readonly enum?: readonly unknown[];
  /** The value must match at least one of these schemas. */
  readonly anyOf?: readonly JsonSchema[];
  /** Further keywords, such as `format`, `minLength` and `default`. */
  readonly [keyword: string]: unknown;
}

const place = '#/schemas/';

/** Schemas by name. Each class has one schema, however often it is used, also if it refers to itself. */
export class Schemas {
  readonly #byName = new Map<string, JsonSchema>();
  readonly #names = new Map<Class, Map<string, string>>();

  /**
   * A reference to the schema of a class.
   *
   * @param variant distinguishes several schemas of one class; it is added to the name
   * @param make called once for each class and variant
   */
  refer(owner: Class, variant: string, make: () => JsonSchema): JsonSchema {
    const known = this.#names.get(owner)?.get(variant);
    if (known !== undefined) return { $ref: place + known };
    const name = this.#freeName(`${owner.name}${variant}`);
    this.#names.set(owner, new Map([...(this.#names.get(owner) ?? []), [variant, name]]));
    // Takes the name before the schema is made, because a class may refer to itself.
    this.#byName.set(name, {});
    this.#byName.set(name, make());
    return { $ref: place + name };
  }

  /** Adds a schema that another library made; its own definitions get names here. */
  adopt(foreign: JsonSchema, name: string): JsonSchema {
    const { $schema: _dialect, definitions = {}, $defs = {}, ...schema } = foreign;
    const inner = Object.entries({ ...(definitions as object), ...($defs as object) }) as [string, JsonSchema][];
    const names = new Map(inner.map(([own]) => [own, this.#reserve(`${name}.${own}`)]));
    const moved = (one: unknown): unknown => movedReferences(one, names);
    for (const [own, one] of inner) this.#byName.set(names.get(own) ?? own, moved(one) as JsonSchema);
    return moved(schema) as JsonSchema;
  }

  toJSON(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries(this.#byName);
  }

  #reserve(wanted: string): string {
    const name = this.#freeName(wanted);
    this.#byName.set(name, {});
    return name;
  }

  #freeName(wanted: string): string {
    const plain = wanted.replace(/[^\w.-]/g, '_') || 'Anonymous';
    let name = plain;
    for (let count = 2; this.#byName.has(name); count += 1) name = `${plain}${count}`;
    return name;
  }
}

function movedReferences(schema: unknown, names: ReadonlyMap<string, string>): unknown {
  if (Array.isArray(schema)) return schema.map((one) => movedReferences(one, names));
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).map(([key, value]) => {
    const own = key === '$ref' ? /^#\/(?:definitions|\$defs)\/(.+)$/.exec(String(value))?.[1] : undefined;
    return [key, own === undefined ? movedReferences(value, names) : place + (names.get(own) ?? own)] as const;
  });
  return Object.fromEntries(entries);
}

/** The schema of a value or null. */
export function orNull(schema: JsonSchema): JsonSchema {
  const { type, enum: values } = schema;
  if (type === undefined && values === undefined) {
    return Object.keys(schema).length === 0 ? schema : { anyOf: [schema, { type: 'null' }] };
  }
  return {
    ...schema,
    ...(type !== undefined && { type: [...[type].flat(), 'null'] }),
    ...(values && { enum: [...values, null] }),
  };
}

/** The schema of an object with these properties. Those in `required` must be there. */
export function objectSchema(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = Object.keys(properties),
): JsonSchema {
  return { type: 'object', properties, ...(required.length > 0 && { required }) };
}
