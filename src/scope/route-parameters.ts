import type { StandardSchemaV1 } from '@standard-schema/spec';
import { ConfigurationError } from '../errors.js';
import type { ConcreteClass } from '../metadata.js';

/** The schema of a route's parameters: a class with class-validator's rules, or any Standard Schema. */
export type ParameterSchema<T = unknown> = ConcreteClass<T & object> | StandardSchemaV1<unknown, T>;

/** The source of a connection's parameters. */
export type ParameterSource = 'params' | 'query' | 'headers';

/** Schemas that the route declares, and the checked values of each. */
export type CheckedParameters = {
  readonly [Source in ParameterSource]?: { readonly schema: unknown; readonly value: unknown };
};

/** `PathParams<'/ws/rooms/:room(int)/:seat/'>` is `{ room: number; seat: string }`. */
export type PathParams<Pattern extends string> = {
  readonly [Part in ParameterPart<Pattern> as NameOfPart<Part>]: Part extends `${string}(int)` ? number : string;
};

type ParameterPart<Pattern extends string> = Pattern extends `${infer Head}/${infer Rest}`
  ? ParameterPart<Head> | ParameterPart<Rest>
  : Pattern extends `:${infer Part}`
    ? Part
    : never;

type NameOfPart<Part extends string> = Part extends `${infer Name}(${string})` ? Name : Part;

/** The parameters of a route without any. */
export const noParameters: Readonly<Record<string, never>> = Object.freeze(Object.create(null));

/** The parameters of one connection, as its route declares them. */
export class RouteParameters {
  readonly #route: string;
  readonly #values: Readonly<Record<string, string | number>>;
  readonly #checked: CheckedParameters;

  /** @param values the converted parameters of the path */
  constructor(
    route: string,
    values: Readonly<Record<string, string | number>> = noParameters,
    checked: CheckedParameters = noParameters,
  ) {
    this.#route = route;
    this.#values = values;
    this.#checked = checked;
  }

  /** @throws ConfigurationError if the route does not declare the schema */
  get<T>(source: ParameterSource, schema: ParameterSchema<T>): T {
    const checked = this.#checked[source];
    if (checked?.schema === schema) return checked.value as T;
    const name = typeof schema === 'function' ? schema.name : 'this schema';
    throw this.#fault(
      source,
      `does not declare ${name} as its ${source}.`,
      `Declare it: path('${this.#route}', …, { ${source}: ${name} }).`,
    );
  }

  /** @throws ConfigurationError if the route does not have all of these parameters */
  ofPattern<Pattern extends string>(pattern: Pattern): PathParams<Pattern> {
    const there = this.#route.split('/');
    const values: Record<string, string | number | undefined> = {};
    for (const part of pattern.split('/').filter((text) => text.startsWith(':'))) {
      if (!there.includes(part)) throw this.#fault('params', `has no ${part}.`, 'Name parameters that it has.');
      const [name = ''] = part.slice(1).split('(');
      values[name] = this.#values[name];
    }
    return values as PathParams<Pattern>;
  }

  #fault(source: ParameterSource, reason: string, remedy: string): ConfigurationError {
    return new ConfigurationError({
      class: 'Scope',
      member: `${source}As`,
      reason: `the route ${this.#route} ${reason}`,
      remedy,
    });
  }
}
