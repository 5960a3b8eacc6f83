import type { View } from './view.js';

/** The request that an inject function receives. */
export interface InjectOptions {
  /** The method of the request. */
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** The path and query of the request. */
  readonly url: string;
  /** The headers by their names in lower case, including `host`. */
  readonly headers: Record<string, string>;
  /** The bytes of the body; undefined if there is none. */
  readonly payload?: Uint8Array;
  /** Aborted when the action is cancelled, exceeds its time limit, or its client disconnects. */
  readonly signal?: AbortSignal;
  /** The client's address, as in `scope.remoteAddress`. */
  readonly remoteAddress?: string;
}

/** The answer of an inject function. */
export interface InjectResponse {
  /** The HTTP status. */
  readonly statusCode: number;
  /** The headers, by names in lower case. */
  readonly headers: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  /** The bytes of the body. */
  readonly rawPayload: Uint8Array;
}

/**
 * A view of a server that answers without a socket, as Fastify's `inject` and light-my-request do.
 *
 * ```ts
 * viewAsConsumer(injectView((options) => fastify.inject(options)), { retrieve: route('GET /rooms/:pk') })
 * ```
 */
export function injectView(inject: (options: InjectOptions) => Promise<InjectResponse>): View {
  return async (request, { scope }) => {
    const { pathname, search } = new URL(request.url);
    const payload = Buffer.from(await request.arrayBuffer());
    const answer = await inject({
      method: request.method as InjectOptions['method'],
      url: `${pathname}${search}`,
      headers: { host: new URL(request.url).host, ...Object.fromEntries(request.headers) },
      signal: request.signal,
      ...(payload.length > 0 && { payload }),
      ...(scope.remoteAddress !== undefined && { remoteAddress: scope.remoteAddress }),
    });
    return toResponse(answer.statusCode, answer.headers, Buffer.from(answer.rawPayload));
  };
}

const neverWithBody = [204, 205, 304];

type Body = ConstructorParameters<typeof Response>[0];

/** The answer of a server as a `Response`, which a fetch handler would return. */
export function toResponse(status: number, headers: InjectResponse['headers'], body: Body): Response {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, String(one)]),
  );
  return new Response(neverWithBody.includes(status) ? null : body, { status, headers: pairs });
}
