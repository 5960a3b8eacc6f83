import type { ReplyClass } from '../dispatch/actions.js';
import { ConfigurationError, ValidationFailed } from '../errors.js';
import type { JsonObject } from '../wire/codec.js';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

type Method = (typeof methods)[number];

/** The target of a route: a method, for the path of the connection itself, or a method and a path. */
export type ViewTarget = Method | `${Method} /${string}`;

/** The request of one action to a view. */
export interface ViewRoute<Target extends ViewTarget = ViewTarget, View extends ReplyClass = ReplyClass> {
  /** The target as it was written: `GET /rooms/:pk`. */
  readonly target: Target;
  /** The HTTP method. */
  readonly method: string;
  /** The path; undefined for the path of the connection. */
  readonly path: string | undefined;
  /** A class whose `@Expose`d properties are sent; if undefined, the whole answer is sent. */
  readonly reply?: View;
}

/**
 * Makes the route of an action: the method and the path of its request. Parts of the path may be parameters.
 *
 * ```ts
 * viewAsConsumer((request) => app.fetch(request), { retrieve: route('GET /rooms/:pk', RoomView) })
 * ```
 *
 * ```json
 * {"action": "retrieve", "request_id": 1, "pk": 4, "query": {"fields": ["id", "name"]}}
 * ```
 *
 * @param reply a class whose `@Expose`d properties are sent; it is also the type that clients see
 * @throws ConfigurationError for an unknown method
 */
export function route<const Target extends ViewTarget, View extends ReplyClass = never>(
  target: Target,
  reply?: View,
): ViewRoute<Target, View> {
  const [method = '', path] = target.split(' ');
  if (!methods.includes(method as Method) || (path !== undefined && !path.startsWith('/'))) {
    throw new ConfigurationError({
      class: 'route',
      member: target,
      reason: 'is not a method with a path.',
      remedy: "Write route('GET /rooms/:pk'), or route('GET') for the path of the connection.",
    });
  }
  return { target, method, path, ...(reply && { reply }) };
}

/** The names of a path's parameters. */
export function parametersOf({ path = '' }: ViewRoute): readonly string[] {
  return path
    .split('/')
    .filter((part) => part.startsWith(':'))
    .map((part) => part.slice(1));
}

/**
 * The path with its parameters filled in.
 *
 * @throws ValidationFailed for a parameter that is missing, or would lead to another path
 */
export function fillPath(path: string, parameters: JsonObject): string {
  return path
    .split('/')
    .map((part) => (part.startsWith(':') ? encodePart(part.slice(1), parameters[part.slice(1)]) : part))
    .join('/');
}

/**
 * Encodes one part of a path. Values of one or two dots are refused, because however they are encoded, they would count as steps in the
 * path.
 */
function encodePart(name: string, value: unknown): string {
  if (value === undefined || value === null || value === '')
    throw ValidationFailed.of({ [name]: ['This field is required.'] });
  if (!isPlain(value) || value === '.' || value === '..')
    throw ValidationFailed.of({ [name]: ['This cannot be a part of a path.'] });
  return encodeURIComponent(String(value));
}

/**
 * Encodes a query: `{"tag": ["red", "blue"], "page": 2}` -> `?tag=red&tag=blue&page=2`.
 *
 * @throws ValidationFailed for a value that is neither a scalar nor a list of scalars
 */
export function encodeQuery(query: JsonObject): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const each of Array.isArray(value) ? value : [value]) {
      if (each !== null && !isPlain(each))
        throw ValidationFailed.of({ query: [`${name} is neither a scalar nor a list of scalars.`] });
      search.append(name, each === null ? '' : String(each));
    }
  }
  const text = search.toString();
  return text === '' ? '' : `?${text}`;
}

/** Whether the value is a well-formed scalar: half a surrogate pair would reach the view as another character. */
function isPlain(value: unknown): value is string | number | boolean {
  if (typeof value === 'string') return value.isWellFormed();
  return typeof value === 'number' || typeof value === 'boolean';
}
