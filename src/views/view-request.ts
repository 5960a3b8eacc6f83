import { ValidationFailed } from '../errors.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { encodeData, isJsonObject, type JsonObject } from '../wire/codec.js';
import { encodeQuery, fillPath, parametersOf, type ViewRoute } from './view-route.js';

/** What came for a view, checked. */
export interface ViewKwargs {
  readonly query: JsonObject;
  readonly parameters: JsonObject;
  readonly data: unknown;
}

/** Headers of the handshake that tell of the socket, and those that are the request's own. */
const notPassedOn =
  /^(connection|upgrade|host|te|trailer|transfer-encoding|keep-alive|proxy-.*|sec-websocket-.*|content-.*|accept|accept-encoding|expect)$/;

const withoutBody = ['GET', 'HEAD'];

/** @throws ValidationFailed where `query` or `parameters` is no object */
export function toViewKwargs(raw: JsonObject, route: ViewRoute): ViewKwargs {
  const { query = {}, parameters = {}, data } = raw;
  const wrong = Object.entries({ query, parameters }).filter(([, value]) => value !== null && !isJsonObject(value));
  if (wrong.length > 0)
    throw ValidationFailed.of(Object.fromEntries(wrong.map(([name]) => [name, ['This has to be an object.']])));
  const named = parametersOf(route).filter((name) => Object.hasOwn(raw, name));
  const ofPath = Object.fromEntries(named.map((name) => [name, raw[name]]));
  return {
    // What is known by name is not noted as dropped.
    ...ofPath,
    query: (query ?? {}) as JsonObject,
    parameters: {
      // What permissions have seen wins.
      ...((parameters ?? {}) as JsonObject),
      ...ofPath,
    },
    data,
  };
}

/** The HTTP request that a view gets: with the cookies and headers of the connection, and aborted with the action. */
export function toRequest(route: ViewRoute, kwargs: ViewKwargs, { scope, signal }: ActionContext): Request {
  const path = route.path === undefined ? scope.path : fillPath(route.path, kwargs.parameters);
  const hasBody = kwargs.data !== undefined && !withoutBody.includes(route.method);
  const headers = headersOf(scope);
  if (hasBody) headers.set('content-type', 'application/json');
  return new Request(`${scope.protocol}://${hostOf(scope)}${path}${encodeQuery(kwargs.query)}`, {
    method: route.method,
    headers,
    signal,
    ...(hasBody && { body: encodeData(kwargs.data) }),
  });
}

function headersOf(scope: Scope): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(scope.headers)) {
    if (value === undefined || notPassedOn.test(name.toLowerCase())) continue;
    for (const one of [value].flat()) headers.append(name, one);
  }
  headers.set('accept', 'application/json');
  return headers;
}

/** A host that makes no URL is none: it is the client's word. */
function hostOf({ host = '' }: Scope): string {
  return /^[\w.[\]:-]+$/.test(host) && URL.canParse(`http://${host}/`) ? host : 'localhost';
}
