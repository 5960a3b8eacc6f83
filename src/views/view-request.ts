import { ValidationFailed } from '../errors.js';
import type { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import { encodeData, isJsonObject, type JsonObject } from '../wire/codec.js';
import { encodeQuery, fillPath, parametersOf, type ViewRoute } from './view-route.js';

/** The checked kwargs of a request to a view. */
export interface ViewKwargs {
  readonly query: JsonObject;
  readonly parameters: JsonObject;
  readonly data: unknown;
}

/** Headers of the handshake that are not passed on: those of the socket, and those that the request has of its own. */
const notPassedOn =
  /^(connection|upgrade|host|te|trailer|transfer-encoding|keep-alive|proxy-.*|sec-websocket-.*|content-.*|accept|accept-encoding|expect)$/;

const withoutBody = ['GET', 'HEAD'];

/** @throws ValidationFailed if `query` or `parameters` is no object */
export function toViewKwargs(raw: JsonObject, route: ViewRoute): ViewKwargs {
  const { query = {}, parameters = {}, data } = raw;
  const wrong = Object.entries({ query, parameters }).filter(([, value]) => value !== null && !isJsonObject(value));
  if (wrong.length > 0)
    throw ValidationFailed.of(Object.fromEntries(wrong.map(([name]) => [name, ['This has to be an object.']])));
  const named = parametersOf(route).filter((name) => Object.hasOwn(raw, name));
  const ofPath = Object.fromEntries(named.map((name) => [name, raw[name]]));
  return {
    // Known names are not noted as dropped.
    ...ofPath,
    query: (query ?? {}) as JsonObject,
    parameters: {
      // The values that permissions have checked take precedence.
      ...((parameters ?? {}) as JsonObject),
      ...ofPath,
    },
    data,
  };
}

/** The HTTP request for a view, with the cookies and headers of the connection. It is aborted together with the action. */
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

/** The host of the connection. A client may send any text as Host: it does not count if it makes no URL. */
function hostOf({ host = '' }: Scope): string {
  return /^[\w.[\]:-]+$/.test(host) && URL.canParse(`http://${host}/`) ? host : 'localhost';
}
