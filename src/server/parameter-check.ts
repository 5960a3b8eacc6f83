import { type ApiError, type ErrorDetail, NotFound, ValidationFailed } from '../errors.js';
import { checkKwargs, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import {
  type CheckedParameters,
  noParameters,
  type ParameterSource,
  RouteParameters,
} from '../scope/route-parameters.js';
import { type HandshakeRequest, pathAndQuery } from '../scope/scope.js';
import { convertedParams, type Match } from './router.js';

/** Where they come from, and what says that they do not fit. A path that fits nothing is a path that is not there. */
const refusals: Readonly<Record<ParameterSource, (cause: ValidationFailed) => ApiError>> = {
  params: (cause) => new NotFound('Nothing is served at this path.', { cause }),
  query: (cause) => new ValidationFailed(`The query does not fit: ${textOf(cause)}`, { cause, errors: cause.errors }),
  headers: (cause) => new ValidationFailed(`The headers do not fit: ${textOf(cause)}`, { cause, errors: cause.errors }),
};

/**
 * Checks what a route declares of its parameters.
 *
 * @throws NotFound for the path; ValidationFailed, with all texts as its sentence, for query and headers
 */
export async function checkParameters({ route, params }: Match, request: HandshakeRequest): Promise<RouteParameters> {
  const converted = convertedParams(route.pattern, params);
  const given: Readonly<Record<ParameterSource, () => Readonly<Record<string, unknown>>>> = {
    params: () => ({ ...converted }),
    query: () => queryOf(request.url),
    headers: () => ({ ...request.headers }),
  };
  let checked: CheckedParameters = noParameters;
  for (const source of ['params', 'query', 'headers'] as const) {
    const schema = route.schemas[source];
    if (!schema) continue;
    const value = await checkedBy(schema as KwargsSchema, given[source](), source);
    checked = { ...checked, [source]: { schema, value } };
  }
  return new RouteParameters(route.path, converted, checked);
}

async function checkedBy(
  schema: KwargsSchema,
  given: Readonly<Record<string, unknown>>,
  source: ParameterSource,
): Promise<unknown> {
  try {
    return (await checkKwargs(schema, given, { strict: false })).value;
  } catch (thrown) {
    throw thrown instanceof ValidationFailed ? refusals[source](thrown) : thrown;
  }
}

/** A text for each name; for one that stands there several times, an array of them. */
function queryOf(url: string): Record<string, string | string[]> {
  const given = new URLSearchParams(pathAndQuery(url)[1]);
  const names = [...new Set(given.keys())];
  return Object.fromEntries(
    names.map((name) => {
      const [first = '', ...others] = given.getAll(name);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
}

/** `page must be an integer number. tag must be short.` */
function textOf({ errors }: ValidationFailed): string {
  return errors.flatMap(textsOf).join(' ');
}

function textsOf(detail: ErrorDetail): readonly string[] {
  if (typeof detail === 'string') return [detail];
  return Object.entries(detail).flatMap(([field, texts]) =>
    texts.map((text) => (text.includes(field) ? text : `${field}: ${text}`)),
  );
}
