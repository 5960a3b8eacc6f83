import { toWireName } from '../wire/names.js';
import { type Asked, type ClientOptions, completeOptions } from './client-options.js';
import type { Client, ClientControls } from './client-types.js';
import { Exchanges } from './exchanges.js';
import type { RequestOptions } from './request.js';

/**
 * A client of one route, inferred from the application that serves it, and connected at once.
 *
 * ```ts
 * import type { Api } from './app.js';                       // export type Api = AppApi<typeof app>;
 * const client = createClient<Api>('wss://example.org/ws/');
 * const message = await client.rooms.createMessage({ room: 1, text: 'hi' });
 * ```
 *
 * @param url a function is asked before every attempt to connect
 */
export function createClient<Api = Record<never, never>>(
  url: string | Asked<string>,
  options: ClientOptions = {},
): Client<Api> {
  const exchanges = new Exchanges(url, completeOptions(options));
  const { connection } = exchanges;
  const controls: ClientControls = {
    get $status() {
      return connection.status;
    },
    $onStatus: connection.onStatus,
    $onFrame: exchanges.onFrame,
    $request: (stream, payload, options) => exchanges.request(stream, payload, options) as never,
    $subscribe: (stream, payload, listener) => exchanges.subscribe(stream, payload, listener as Listener) as never,
    $reconnect: () => exchanges.reconnect(),
    $close: () => connection.close(),
  };
  // Whatever is not its own is a stream or an action.
  return Object.setPrototypeOf(
    controls,
    named({}, (name) => streamOrAction(exchanges, name)),
  );
}

type Listener = (event: unknown) => void;

/** Which of the two a name is, only types know: it may be called, and its members are those of a stream. */
function streamOrAction(exchanges: Exchanges, name: string): unknown {
  const action = memberOf(exchanges, null, name);
  return action && named(action, (member) => memberOf(exchanges, name, member));
}

/** What others ask of any object: it is no promise, and has no text of its own. */
const foreignNames = /^(\$.*|then|toJSON|toString|valueOf)$/;

function memberOf(exchanges: Exchanges, stream: string | null, name: string): object | undefined {
  const subscribe = (action: string, kwargs: object, listener?: Listener): unknown =>
    exchanges.subscribe(stream, { ...kwargs, action: toWireName(action) }, listener);
  if (name === '$on')
    return (_observer: string, action: string, kwargs: object, listener?: Listener) =>
      subscribe(action, kwargs, listener);
  if (name === '$onInstance')
    return (kwargs: object, listener?: Listener) => subscribe('subscribeInstance', kwargs, listener);
  if (foreignNames.test(name)) return undefined;
  const action = toWireName(name);
  return (kwargs?: object, options?: RequestOptions) => exchanges.request(stream, { ...kwargs, action }, options);
}

/** An object whose members are made when they are first asked for, and stay the same. */
function named(target: object, make: (name: string) => unknown): object {
  const made = new Map<string | symbol, unknown>();
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === 'string' && !made.has(name)) made.set(name, make(name));
      return made.get(name);
    },
  });
}
