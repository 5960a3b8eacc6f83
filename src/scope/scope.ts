import type { DependencyContainer } from 'tsyringe';
import { connectionContainer } from './connection-container.js';
import { cookiesOf } from './cookies.js';
import type { Identity } from './identity.js';
import { Ownership, ownership } from './ownership.js';
import { type ParameterSchema, type PathParams, RouteParameters } from './route-parameters.js';
import type { ScopeSession, ScopeUser } from './scope-types.js';
import { offeredSubprotocols } from './subprotocols.js';

/** What is known of a handshake before anything is asked. */
export interface HandshakeRequest {
  /** Path and query: `/ws/chat/?room=1`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** `unix:` for the peer of a Unix socket. */
  readonly remoteAddress?: string;
  /** The host that the client asked. Default: that of the Host header. */
  readonly host?: string;
  /** Whether the client came over TLS. */
  readonly encrypted?: boolean;
}

/** The host that a client asked; undefined where it named none. */
export function hostOf({ host, headers }: HandshakeRequest): string | undefined {
  const named = host ?? headers['host'];
  return typeof named === 'string' ? named : undefined;
}

/** The facts of one connection: the same object for all its consumers, actions and permissions. */
export class Scope {
  /** Of the URL, without its query. */
  readonly path: string;
  /** Set by the route, as text: `/ws/rooms/:room/` gives `{ room: '1' }`. `paramsAs` gives them checked and typed. */
  readonly params: Readonly<Record<string, string>>;
  /** As they came: those that begin with `x-forwarded-` may be the client's own words. */
  readonly headers: HandshakeRequest['headers'];
  /** Of the client, as far as trusted proxies tell; `unix:` where they do not and the socket is a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The host that the client asked, with its port unless it is the protocol's own, as far as trusted proxies tell. */
  readonly host: string | undefined;
  /** How the client came, as far as trusted proxies tell. */
  readonly protocol: 'http' | 'https';
  /** The one that was agreed on. Scope middleware may choose one of those that are offered; else the consumer's options do. */
  subprotocol: string | undefined;
  readonly [ownership] = new Ownership();
  readonly #url: string;
  readonly #parameters: RouteParameters;
  #query: URLSearchParams | undefined;
  #cookies: Readonly<Record<string, string>> | undefined;
  readonly #root: DependencyContainer;

  /** @param root the container of the application; that of the connection is its child */
  constructor(
    request: HandshakeRequest,
    params: Readonly<Record<string, string>>,
    root: DependencyContainer,
    parameters: RouteParameters = new RouteParameters(request.url),
  ) {
    const query = request.url.indexOf('?');
    this.path = query === -1 ? request.url : request.url.slice(0, query);
    this.params = params;
    this.headers = request.headers;
    this.remoteAddress = request.remoteAddress;
    this.host = hostOf(request);
    this.protocol = request.encrypted ? 'https' : 'http';
    this.#url = request.url;
    this.#root = root;
    this.#parameters = parameters;
  }

  /** Set by scope middleware; undefined while no user is logged in. A login is seen by its own request alone until that has succeeded. */
  get user(): ScopeUser | undefined {
    return this[ownership].seen.user;
  }

  set user(user: ScopeUser | undefined) {
    this[ownership].seen.user = user;
  }

  /** Set by scope middleware. */
  get session(): ScopeSession | undefined {
    return this[ownership].seen.session;
  }

  set session(session: ScopeSession | undefined) {
    this[ownership].seen.session = session;
  }

  /** Set by scope middleware beside the user; undefined while no user is authenticated. */
  get identity(): Identity | undefined {
    return this[ownership].seen.identity;
  }

  set identity(identity: Identity | undefined) {
    this[ownership].seen.identity = identity;
  }

  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.#url.slice(this.path.length + 1));
    return this.#query;
  }

  get cookies(): Readonly<Record<string, string>> {
    this.#cookies ??= cookiesOf(this.headers.cookie);
    return this.#cookies;
  }

  /** What the client offers to speak, the preferred one first. Tokens that it hides among them (`bearer.…`) are left out. */
  get subprotocols(): readonly string[] {
    return offeredSubprotocols(this.headers['sec-websocket-protocol']).names;
  }

  /** The container of this connection, made when something is resolved from it; disposed with it. */
  get container(): DependencyContainer {
    const container = connectionContainer(this.#root);
    container.registerInstance(Scope, this);
    Object.defineProperty(this, 'container', { value: container });
    return container;
  }

  /** Whether anything was resolved from the container. */
  get hasContainer(): boolean {
    return Object.hasOwn(this, 'container');
  }

  /**
   * The parameters of the path: typed by the pattern of the route or a part of it, `scope.paramsAs(':room(int)').room`; or
   * checked during the handshake by a class or a Standard Schema that the route declares,
   * `path('/ws/rooms/:room(int)/', RoomConsumer, { params: RoomParams })`, `scope.paramsAs(RoomParams).room`.
   *
   * @throws ConfigurationError where the route does not declare it
   */
  paramsAs<const Pattern extends string>(pattern: Pattern): PathParams<Pattern>;
  paramsAs<T>(schema: ParameterSchema<T>): T;
  paramsAs<T>(declared: string | ParameterSchema<T>): object | T {
    if (typeof declared === 'string') return this.#parameters.ofPattern(declared);
    return this.#parameters.get('params', declared);
  }

  /** The query, checked by its class or schema: `path('/ws/', RoomConsumer, { query: RoomQuery })`. @throws ConfigurationError */
  queryAs<T>(schema: ParameterSchema<T>): T {
    return this.#parameters.get('query', schema);
  }

  /** The headers, by their names in lower case, checked by their class or schema: `{ headers: TenantHeaders }`. @throws ConfigurationError */
  headersAs<T>(schema: ParameterSchema<T>): T {
    return this.#parameters.get('headers', schema);
  }
}
