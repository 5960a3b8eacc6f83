import type { ClientOptions } from './client-options.js';

/** Headers and cookies of the request that opens a socket. A page cannot set them: the browser writes that request. */
export interface HandshakeFacts {
  /** Headers by name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Cookies by name. Values are escaped in the way that Signalbox reads them. */
  readonly cookies?: Readonly<Record<string, string>>;
}

/**
 * Makes the `WebSocket` class of a client in Node.js that sends headers and cookies. With cookies it sends the server's origin, unless the
 * headers name one: servers check the origin of clients that cookies identify.
 *
 * ```ts
 * createClient<Api>('ws://localhost:8000/ws/', { WebSocket: webSocketWith({ cookies: { session } }) });
 * createClient<Api>('ws://localhost:8000/ws/', { WebSocket: webSocketWith(() => ({ headers: { authorization: `Bearer ${token()}` } })) });
 * ```
 *
 * @param facts the headers and cookies, or a function that returns them and is called before every attempt to connect
 * @throws TypeError in a page
 */
export function webSocketWith(facts: HandshakeFacts | (() => HandshakeFacts)): NonNullable<ClientOptions['WebSocket']> {
  if ('document' in globalThis) {
    throw new TypeError(
      'A page sets no headers and no cookies of a socket. Use the option token, or let the server set a cookie.',
    );
  }
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      const headers = headersOf(url, typeof facts === 'function' ? facts() : facts);
      // Node's second parameter may hold headers; the standard's, which the types describe, may not.
      super(url, { protocols, headers } as never);
    }
  };
}

function headersOf(url: string, { headers = {}, cookies = {} }: HandshakeFacts): Readonly<Record<string, string>> {
  const named = Object.entries(cookies);
  if (named.length === 0) return headers;
  const cookie = named.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('; ');
  return { origin: new URL(url.replace(/^ws/, 'http')).origin, ...headers, cookie };
}
