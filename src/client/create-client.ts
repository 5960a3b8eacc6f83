import { toWireName } from '../wire/messages.js';
import { type Asked, type ClientOptions, commonDefaults } from './client-options.js';
import type { Client, ClientControls } from './client-types.js';
import { createControls } from './exchanges.js';
import type { RequestOptions } from './request.js';

/**
 * Makes a client of one route, with types inferred from the application that serves it, and connects at once.
 *
 * ```ts
 * import type { Api } from './app.js';                       // export type Api = AppApi<typeof app>;
 * const client = createClient<Api>('wss://example.org/ws/');
 * const message = await client.rooms.createMessage({ room: 1, text: 'hi' });
 * ```
 *
 * @param url a function is called before every attempt to connect
 */
export function createClient<Api = Record<never, never>>(
  url: string | Asked<string>,
  options: ClientOptions = {},
): Client<Api> {
  const controls = createControls(url, { ...commonDefaults, ...options });
  const client = consumer(controls, null, controls, controls, (call, name) => consumer(controls, name, call, {}));
  return client as Client<Api>;
}

/** Names that JavaScript itself reads of any object. The client has none of them: it is no promise, and no JSON. */
const foreignNames = /^(\$.*|then|toJSON)$/;

type Call = (kwargs?: object, options?: RequestOptions) => unknown;

/** The methods of one consumer. Each is made on first use, and stays the same function. */
function consumer(
  controls: ClientControls,
  stream: string | null,
  target: object,
  own: object,
  make: (call: Call, name: string) => unknown = (call) => call,
): object {
  const ask =
    (means: '$request' | '$subscribe', action: string) =>
    (kwargs?: object, rest?: object): unknown =>
      controls[means](stream, { ...kwargs, action: toWireName(action) }, rest as never);
  const members: Record<string | symbol, unknown> = Object.assign(own, {
    $on: (_observer: string, action: string, kwargs: object, listener?: () => void) =>
      ask('$subscribe', action)(kwargs, listener),
    $onInstance: ask('$subscribe', 'subscribeInstance'),
  });
  return new Proxy(target, {
    get(_, name) {
      if (typeof name === 'string' && !foreignNames.test(name)) members[name] ??= make(ask('$request', name), name);
      return members[name];
    },
  });
}
