import type { ClientOptions } from './client-options.js';

/** What a program says with the request that opens a socket. A page cannot: its browser writes that request. */
export interface HandshakeFacts {
  /** By name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** By name. Values are escaped as Signalbox reads them. */
  readonly cookies?: Readonly<Record<string, string>>;
}

/**
 * The `WebSocket` of a client in Node.js that sends headers and cookies. With cookies it names the origin of the server,
 * unless the headers name one: servers ask for an origin where cookies say who is connected.
 *
 * ```ts
 * createClient<Api>('ws://localhost:8000/ws/', { WebSocket: webSocketWith({ cookies: { session } }) });
 * createClient<Api>('ws://localhost:8000/ws/', { WebSocket: webSocketWith(() => ({ headers: { authorization: `Bearer ${token()}` } })) });
 * ```
 *
 * @param facts or a function that gives them, asked before every attempt to connect
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
      // Node's second parameter may hold headers too; the standard's, which the types know, does not.
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
