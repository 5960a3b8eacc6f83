import type { JsonSchema } from '../kwargs/json-schema.js';
import type {
  ActionDescription,
  ApplicationDescription,
  ObserverDescription,
  RouteDescription,
  StreamDescription,
} from '../server/description.js';

/** The `info` object of an AsyncAPI document. */
export interface AsyncApiInfo {
  /** The name of the application. */
  readonly title: string;
  /** The version of the application's API, not that of AsyncAPI. */
  readonly version: string;
  /** CommonMark text. */
  readonly description?: string;
}

/** The part of an AsyncAPI 3 document that this file writes. */
export interface AsyncApiDocument {
  /** The version of the specification. */
  readonly asyncapi: '3.0.0';
  /** The title and version of the API. */
  readonly info: AsyncApiInfo;
  /** The media type of all text frames. */
  readonly defaultContentType: 'application/json';
  /** The address at which the document was requested; absent if it is not known. */
  readonly servers?: Readonly<Record<string, { readonly host: string; readonly protocol: 'ws' | 'wss' }>>;
  /** The channels, one for each path, by name. */
  readonly channels: Readonly<Record<string, AsyncApiChannel>>;
  /** The operations: one for each action, and one for the events of each observer. */
  readonly operations: Readonly<Record<string, AsyncApiOperation>>;
  /** The schemas that `$ref` refers to. */
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

/** The channel object of one path. */
export interface AsyncApiChannel {
  /** The path, with its parameters in braces: `/ws/rooms/{room}/`. */
  readonly address: string;
  /** The same path, for readers. */
  readonly title: string;
  /** The parameters of the path, by name. */
  readonly parameters?: Readonly<Record<string, { readonly description: string }>>;
  /** The handshake: schemas of its query and headers, in AsyncAPI's binding for WebSockets. */
  readonly bindings?: { readonly ws: object };
  /** The messages that either side may send on this path, by name. */
  readonly messages: Readonly<Record<string, AsyncApiMessage>>;
}

/** The message object of one kind of frame. */
export interface AsyncApiMessage {
  /** The name of the message, unique in its channel. */
  readonly name: string;
  /** The title for readers. */
  readonly title: string;
  /** The schema of the whole frame. */
  readonly payload: JsonSchema;
  /** The place of the request id in the frame, as a runtime expression of AsyncAPI. */
  readonly correlationId?: { readonly location: string };
}

interface Reference {
  readonly $ref: string;
}

/** The operation object of one action, or of an observer's events. */
export interface AsyncApiOperation {
  /** From the server's view: `receive` for frames that clients send, `send` for frames that the server sends. */
  readonly action: 'receive' | 'send';
  /** The channel of the path. */
  readonly channel: Reference;
  /** The title for readers. */
  readonly title: string;
  /** One sentence about the operation. */
  readonly summary: string;
  /** The messages of the operation. */
  readonly messages: readonly Reference[];
  /** The messages that answer an action; absent for events. */
  readonly reply?: { readonly channel: Reference; readonly messages: readonly Reference[] };
  readonly [extension: `x-${string}`]: unknown;
}

/**
 * Makes the AsyncAPI 3 document of an application's whole socket API: a channel for each path, an operation for each action with its reply,
 * and one for the events of each observer.
 *
 * @param url the address of the application, such as `wss://example.org`; without it the document names no server
 */
export function toAsyncApi(application: ApplicationDescription, info: AsyncApiInfo, url?: string): AsyncApiDocument {
  const names = channelNames(application.routes);
  const channels = application.routes.map((route, index) => new Channel(names[index] ?? route.path, route));
  const document: AsyncApiDocument = {
    asyncapi: '3.0.0',
    info,
    defaultContentType: 'application/json',
    ...(url !== undefined && { servers: { server: serverOf(url) } }),
    channels: Object.fromEntries(channels.map((channel) => [channel.name, channel.describe()])),
    operations: Object.fromEntries(channels.flatMap((channel) => [...channel.operations])),
    components: { schemas: application.schemas },
  };
  return inComponents(document) as AsyncApiDocument;
}

const text: JsonSchema = { type: 'string' };
const requestId: JsonSchema = { type: ['string', 'number', 'null'] };
const noErrors: JsonSchema = { type: 'array', maxItems: 0 };
const noData: JsonSchema = { type: 'null' };

/** The errors of an action's reply: `{"errors": ["text"]}` or `{"errors": [{"field": ["text"]}]}`. */
const failure: JsonSchema = frame({
  errors: { type: 'array', items: { anyOf: [text, { type: 'object', additionalProperties: true }] } },
  data: {},
  action: { type: ['string', 'null'] },
  response_status: { type: 'integer', minimum: 400 },
  request_id: requestId,
  code: text,
});

/** Actions that the framework itself answers in each stream, unless the consumer has an action of that name. */
const builtIn = [
  { name: 'cancel', summary: 'Aborts a request that waits or runs.', status: 200 },
  { name: 'unsubscribe', summary: 'Ends every subscription of a request id.', status: 204 },
];

/** One path with its messages and operations. */
class Channel {
  readonly operations = new Map<string, AsyncApiOperation>();
  readonly #messages = new Map<string, AsyncApiMessage>();

  constructor(
    readonly name: string,
    private readonly route: RouteDescription,
  ) {
    for (const stream of route.streams) this.#addStream(stream);
    for (const one of builtIn) this.#addBuiltIn(one);
    this.#addPing();
  }

  describe(): AsyncApiChannel {
    const { path, parameters, checks } = this.route;
    const bindings = {
      ...(checks.query && { query: checks.query }),
      ...(checks.headers && { headers: checks.headers }),
    };
    const kinds = { text: 'Any text.', int: 'A whole number.', uuid: 'A UUID.' };
    return {
      address: path.replaceAll(/:([^()/]+)(\([^()]*\))?/g, '{$1}'),
      title: path,
      ...(parameters.length > 0 && {
        parameters: Object.fromEntries(parameters.map(({ name, kind }) => [name, { description: kinds[kind] }])),
      }),
      ...(Object.keys(bindings).length > 0 && { bindings: { ws: { ...bindings, bindingVersion: '0.1.0' } } }),
      messages: Object.fromEntries(this.#messages),
    };
  }

  #addStream(stream: StreamDescription): void {
    for (const action of stream.actions) this.#addAction(stream, action);
    for (const observer of stream.observers) this.#addObserver(stream, observer);
  }

  #addAction({ stream, consumer }: StreamDescription, action: ActionDescription): void {
    const key = this.#keyOf(stream, action.name);
    const request = this.#message(`${key}.request`, stream, `${action.name} of ${consumer}`, {
      ...requestSchema(action),
    });
    const { status, reply, name } = action;
    const success = replySchema(name, status, reply ?? {});
    const replies = [
      this.#message(`${key}.reply`, stream, `The reply to ${name}`, success),
      ...(action.sendsParts
        ? [this.#message(`${key}.part`, stream, `A part of the reply to ${name}`, replySchema(name, 206, {}))]
        : []),
      this.#message('error', this.route.isMultiplexed ? undefined : null, 'An error', failure),
    ];
    this.operations.set(`${this.name}.${key}`, {
      action: 'receive',
      channel: this.#reference(),
      title: key,
      summary: `Calls ${consumer}.${action.member}.`,
      messages: [request],
      reply: { channel: this.#reference(), messages: replies },
      'x-permissions': action.permissions.text,
      'x-atomic': action.isAtomic,
      'x-detached': action.isDetached,
      'x-time-limit': action.timeLimit,
      ...(action.aliases.length > 0 && { 'x-aliases': action.aliases }),
      ...(action.subscribesTo.length > 0 && { 'x-subscribes-to': action.subscribesTo }),
    });
  }

  #addObserver({ stream, consumer }: StreamDescription, observer: ObserverDescription): void {
    const key = this.#keyOf(stream, observer.member);
    const messages = observer.actions.map((action) => {
      const isDelete = action === 'delete' && observer.deleted !== null;
      const data = (isDelete ? observer.deleted : observer.data) ?? {};
      const schema = replySchema(action, isDelete ? 204 : 200, data);
      return this.#message(`${key}.${action}`, stream, `${action} of ${observer.model ?? observer.member}`, schema);
    });
    this.operations.set(`${this.name}.${key}`, {
      action: 'send',
      channel: this.#reference(),
      title: key,
      summary: `Sends ${consumer}.${observer.member} to its subscribers.`,
      messages,
      'x-subscribed-by': observer.subscribedBy,
    });
  }

  #addBuiltIn({ name, summary, status }: (typeof builtIn)[number]): void {
    const streams = this.route.streams.filter(({ actions }) => actions.every((action) => action.name !== name));
    if (streams.length === 0) return;
    const asked = frame({ action: { const: name }, request_id: requestId, target: { type: ['string', 'number'] } }, [
      'action',
      'target',
    ]);
    this.#addOwn(
      name,
      summary,
      asked,
      status,
      streams.map(({ stream }) => stream),
    );
  }

  #addPing(): void {
    const asked = frame({ action: { const: 'ping' }, request_id: requestId }, ['action']);
    this.#addOwn('ping', 'Asks for a sign of life. It names no stream.', asked, 200, [undefined]);
  }

  #addOwn(
    name: string,
    summary: string,
    asked: JsonSchema,
    status: number,
    streams: readonly (string | null | undefined)[],
  ): void {
    const wrap = (schema: JsonSchema, ofReply: boolean): JsonSchema => {
      if (!this.route.isMultiplexed) return schema;
      if (streams[0] === undefined) return ofReply ? enveloped(schema, { type: 'null' }) : schema;
      return enveloped(schema, { enum: streams });
    };
    const title = `${name} of the framework`;
    const request = this.#add(`${name}.request`, title, wrap(asked, false));
    const reply = this.#add(`${name}.reply`, `The reply to ${name}`, wrap(replySchema(name, status, noData), true));
    this.operations.set(`${this.name}.${name}`, {
      action: 'receive',
      channel: this.#reference(),
      title: name,
      summary,
      messages: [request],
      reply: { channel: this.#reference(), messages: [reply] },
    });
  }

  /** @param stream null if the route has no streams; undefined for frames of any stream, or of none */
  #message(name: string, stream: string | null | undefined, title: string, payload: JsonSchema): Reference {
    if (stream === null) return this.#add(name, title, payload);
    const of: JsonSchema = stream === undefined ? { type: ['string', 'null'] } : { const: stream };
    return this.#add(name, title, enveloped(payload, of));
  }

  #add(name: string, title: string, payload: JsonSchema): Reference {
    const place = this.route.isMultiplexed && !name.startsWith('ping.request') ? '/payload' : '';
    const correlationId = { location: `$message.payload#${place}/request_id` };
    this.#messages.set(name, { name, title, payload, correlationId });
    return { $ref: `#/channels/${this.name}/messages/${name}` };
  }

  #keyOf(stream: string | null, member: string): string {
    return stream === null ? inKey(member) : `${inKey(stream)}.${inKey(member)}`;
  }

  #reference(): Reference {
    return { $ref: `#/channels/${this.name}` };
  }
}

function enveloped(payload: JsonSchema, stream: JsonSchema): JsonSchema {
  return frame({ stream, payload });
}

/** The schema of a client's request for an action. */
function requestSchema({ name, kwargs, isStrict, subscribesTo }: ActionDescription): JsonSchema {
  const own = {
    action: { const: name },
    request_id: subscribesTo.length > 0 ? { type: ['string', 'number'] } : requestId,
  };
  const always = subscribesTo.length > 0 ? ['action', 'request_id'] : ['action'];
  const { properties, required = [], allOf } = kwargs;
  if (!properties && Object.keys(kwargs).length > 1)
    return { allOf: [frame(own, always), ...((allOf as []) ?? [kwargs])] };
  return {
    ...frame({ ...own, ...properties }, [...always, ...required]),
    ...(isStrict && { additionalProperties: false }),
  };
}

function replySchema(action: string, status: number, data: JsonSchema): JsonSchema {
  return frame({
    errors: noErrors,
    data,
    action: { const: action },
    response_status: { const: status },
    request_id: requestId,
  });
}

function frame(properties: Readonly<Record<string, JsonSchema>>, required = Object.keys(properties)): JsonSchema {
  return { type: 'object', properties, required };
}

/** The names of the routes' channels, each once: `/ws/rooms/:room(int)/` -> `ws_rooms_room`. */
function channelNames(routes: readonly RouteDescription[]): readonly string[] {
  const taken = new Set<string>();
  return routes.map(({ path }) => {
    const plain = inKey(path.replaceAll(/\([^()]*\)/g, '').replaceAll(/^\/|\/$/g, '')) || 'root';
    let name = plain;
    for (let count = 2; taken.has(name); count += 1) name = `${plain}${count}`;
    taken.add(name);
    return name;
  });
}

/** The name as a key of the document, which may have letters, digits, dots, dashes and underscores. */
function inKey(name: string): string {
  return name.replaceAll(/[^\w-]+/g, '_').replaceAll(/^_+|_+$/g, '');
}

function serverOf(url: string): { readonly host: string; readonly protocol: 'ws' | 'wss' } {
  const { host, protocol } = new URL(url);
  return { host, protocol: protocol === 'wss:' || protocol === 'https:' ? 'wss' : 'ws' };
}

/** The value with references to the document's components, which hold the description's schemas. */
function inComponents(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inComponents);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => {
      const isReference = key === '$ref' && typeof one === 'string';
      return [key, isReference ? one.replace(/^#\/schemas\//, '#/components/schemas/') : inComponents(one)];
    }),
  );
}
