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
    $onStatus: (listener) => connection.onStatus(listener),
    $request: (stream, payload, options) => exchanges.request(stream, payload, options) as never,
    $subscribe: (stream, payload, listener) => exchanges.subscribe(stream, payload, listener as Listener) as never,
    $onFrame: (listener) => exchanges.onFrame(listener),
    $reconnect: () => exchanges.reconnect(),
    $close: () => connection.close(),
  };
  const own = Object.defineProperties(eventsOf(exchanges, null), Object.getOwnPropertyDescriptors(controls));
  return named({}, own, (name) => streamOrAction(exchanges, name)) as Client<Api>;
}

type Listener = (event: unknown) => void;

/** Which of the two a name is, only types know: it may be called, and its members are the actions of a stream. */
function streamOrAction(exchanges: Exchanges, name: string): object {
  const own = eventsOf(exchanges, name);
  return named(actionOf(exchanges, null, name), own, (action) => actionOf(exchanges, name, action));
}

function actionOf(exchanges: Exchanges, stream: string | null, name: string): object {
  const action = toWireName(name);
  return (kwargs?: object, options?: RequestOptions) => exchanges.request(stream, { ...kwargs, action }, options);
}

function eventsOf(exchanges: Exchanges, stream: string | null): object {
  const subscribe = (name: string, kwargs: object, listener?: Listener): unknown =>
    exchanges.subscribe(stream, { ...kwargs, action: toWireName(name) }, listener);
  return {
    $on: (_observer: string, action: string, kwargs: object, listener?: Listener) =>
      subscribe(action, kwargs, listener),
    $onInstance: (kwargs: object, listener?: Listener) => subscribe('subscribeInstance', kwargs, listener),
  };
}

/** What others ask of any object: it is no promise, and has no text of its own. */
const foreignNames = /^(\$.*|then|toJSON|toString|valueOf)$/;

/** An object whose members are made when they are first asked for. */
function named(target: object, own: object, make: (name: string) => object): object {
  const made = new Map<string, object>();
  return new Proxy(target, {
    get(_, name) {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name);
      if (typeof name === 'symbol' || foreignNames.test(name)) return undefined;
      const member = made.get(name) ?? make(name);
      made.set(name, member);
      return member;
    },
  });
}
