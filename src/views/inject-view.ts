import type { View } from './view.js';

/** What an inject function is asked for. */
export interface InjectOptions {
  /** That of the request which the view is asked with. */
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'OPTIONS';
  /** Path and query. */
  readonly url: string;
  /** By their names in lower case; `host` is among them. */
  readonly headers: Record<string, string>;
  /** The bytes of the body; absent where there is none. */
  readonly payload?: Uint8Array;
  /** Aborted when the request is cancelled, runs past its time limit, or its client leaves. */
  readonly signal?: AbortSignal;
  /** That of the client, as `scope.remoteAddress` has it. */
  readonly remoteAddress?: string;
}

/** What an inject function answers. */
export interface InjectResponse {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string | number | readonly string[] | undefined>>;
  /** The bytes of the body. */
  readonly rawPayload: Uint8Array;
}

/**
 * A server that is asked without a socket, as Fastify's `inject` and light-my-request do.
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

/** The answer of a server as a fetch handler would give it. */
export function toResponse(status: number, headers: InjectResponse['headers'], body: Body): Response {
  const pairs = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, String(one)]),
  );
  return new Response(neverWithBody.includes(status) ? null : body, { status, headers: pairs });
}
