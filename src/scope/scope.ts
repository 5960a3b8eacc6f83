import type { DependencyContainer } from 'tsyringe';
import { currentWork } from '../async-context.js';
import { connectionContainer } from './connection-container.js';
import { cookiesOf, offeredSubprotocols } from './headers.js';
import { type ParameterSchema, type PathParams, RouteParameters } from './route-parameters.js';
import type { Identity, ScopeSession, ScopeUser } from './scope-types.js';

/** The key of a scope's ownership. Applications have no access to it; they log in through `Connections`. */
export const ownership = Symbol('ownership');

/** The two parts of what a client asks for, `/ws/chat/?room=1`; the query is empty where there is none. */
export function pathAndQuery(url: string): readonly [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark === -1 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** The path for logs, without the query, which may contain tickets. */
export function pathOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const [path] = pathAndQuery(url);
  return path;
}

/** The facts of a handshake before middleware and permissions run. */
export interface HandshakeRequest {
  /** Path and query: `/ws/chat/?room=1`. */
  readonly url: string;
  /** Headers by their names in lower case, as in Node. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The address of the client; `unix:` for the peer of a Unix socket. */
  readonly remoteAddress?: string;
  /** The host that the client requested. Default: that of the Host header. */
  readonly host?: string;
  /** Whether the client came over TLS. */
  readonly encrypted?: boolean;
}

/** The host that a client requested; undefined if it named none. */
export function hostOf({ host, headers }: HandshakeRequest): string | undefined {
  const named = host ?? headers['host'];
  return typeof named === 'string' ? named : undefined;
}

/** The user of a connection, from scope middleware or a login. */
export interface UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
}

/** The facts that a request which logs in has proposed. */
interface Proposal extends UserFacts {
  /** Whether the connection belonged to another user at some moment of the request. */
  isOther: boolean;
}

/**
 * The owner of a connection. Only the request that logs in sees the facts that it proposes, until it has succeeded: otherwise other
 * requests would be served for a user whose login then fails.
 */
export class Ownership implements UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
  /** Proposals by the requests that made them and are not answered yet. */
  #proposals: Map<object, Proposal> | undefined;
  /** Resolves when the owner is decided; undefined if it is. Set by `holdUntil`. */
  settling: Promise<void> | undefined;

  /** The facts for the running code. */
  get seen(): UserFacts {
    const work = this.#proposals && currentWork.getStore();
    return (work && this.#proposals?.get(work)) ?? this;
  }

  /**
   * Proposes facts; outside of any request they take effect at once.
   *
   * @returns whether the running request has proposed nothing before
   */
  propose({ user, session, identity }: UserFacts, isOther: boolean): boolean {
    const work = currentWork.getStore();
    if (!work) {
      Object.assign(this, { user, session, identity });
      return true;
    }
    this.#proposals ??= new Map();
    const earlier = this.#proposals.get(work);
    this.#proposals.set(work, { user, session, identity, isOther: isOther || earlier?.isOther === true });
    return !earlier;
  }

  /**
   * Ends the proposal of a request; if it succeeded, the facts take effect for all code.
   *
   * @returns whether the connection belonged to another user during the request
   */
  settle(work: object | undefined, hasSucceeded: boolean): boolean {
    const proposal = work && this.#proposals?.get(work);
    if (!work || !proposal) return false;
    const { isOther, ...facts } = proposal;
    this.#proposals?.delete(work);
    if (hasSucceeded) Object.assign(this, facts);
    if (this.#proposals?.size === 0) this.#proposals = undefined;
    return isOther;
  }

  /** Whether a request that logs in is not answered yet. */
  get isProposed(): boolean {
    return this.#proposals !== undefined;
  }

  /**
   * Holds later requests until it is decided who owns the connection.
   *
   * @param done never rejects
   */
  holdUntil(done: Promise<void>): void {
    const before = this.settling;
    const settling = before ? Promise.all([before, done]).then(() => {}) : done;
    this.settling = settling;
    void settling.then(() => {
      if (this.settling === settling) this.settling = undefined;
    });
  }
}

/** The facts of one connection: one object for all its consumers, actions and permissions. */
export class Scope {
  /** The path of the URL, without its query. */
  readonly path: string;
  /** The parameters of the path, as text: `/ws/rooms/:room/` gives `{ room: '1' }`. `paramsAs` gives them checked and typed. */
  readonly params: Readonly<Record<string, string>>;
  /** The headers as the client sent them; a client may send any `x-forwarded-` header itself. */
  readonly headers: HandshakeRequest['headers'];
  /** The client's address, by the headers of trusted proxies; `unix:` for a Unix socket without such headers. */
  readonly remoteAddress: string | undefined;
  /** The host that the client requested, by the headers of trusted proxies, with the port unless it is the protocol's default. */
  readonly host: string | undefined;
  /** `https` if the client came over TLS, by the headers of trusted proxies. */
  readonly protocol: 'http' | 'https';
  /** The negotiated subprotocol. Scope middleware may choose one of the offered ones; otherwise the consumer's options decide. */
  subprotocol: string | undefined;
  readonly [ownership] = new Ownership();
  readonly #queryText: string;
  readonly #parameters: RouteParameters;
  #query: URLSearchParams | undefined;
  #cookies: Readonly<Record<string, string>> | undefined;
  readonly #root: DependencyContainer;

  /** @param root the container of the application, the parent of the connection's */
  constructor(
    request: HandshakeRequest,
    params: Readonly<Record<string, string>>,
    root: DependencyContainer,
    parameters: RouteParameters = new RouteParameters(request.url),
  ) {
    [this.path, this.#queryText] = pathAndQuery(request.url);
    this.params = params;
    this.headers = request.headers;
    this.remoteAddress = request.remoteAddress;
    this.host = hostOf(request);
    this.protocol = request.encrypted ? 'https' : 'http';
    this.#root = root;
    this.#parameters = parameters;
  }

  /**
   * The user; undefined while no user is logged in. Scope middleware sets it. After a login, only the request that logs in sees the new
   * user, until it has succeeded.
   */
  get user(): ScopeUser | undefined {
    return this[ownership].seen.user;
  }

  set user(user: ScopeUser | undefined) {
    this[ownership].seen.user = user;
  }

  /** The session. Scope middleware sets it. */
  get session(): ScopeSession | undefined {
    return this[ownership].seen.session;
  }

  set session(session: ScopeSession | undefined) {
    this[ownership].seen.session = session;
  }

  /** The identity; undefined while no user is authenticated. Scope middleware sets it together with the user. */
  get identity(): Identity | undefined {
    return this[ownership].seen.identity;
  }

  set identity(identity: Identity | undefined) {
    this[ownership].seen.identity = identity;
  }

  /** The query of the URL, without a ticket of `queryTicket`. `queryAs` gives it checked and typed. */
  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.#queryText);
    return this.#query;
  }

  /** Cookies by name, with escapes (`%20`) decoded. If a name occurs several times, the first cookie counts. */
  get cookies(): Readonly<Record<string, string>> {
    this.#cookies ??= cookiesOf(this.headers.cookie);
    return this.#cookies;
  }

  /** The subprotocols that the client offers, the preferred one first, without tokens (`bearer.…`). */
  get subprotocols(): readonly string[] {
    return offeredSubprotocols(this.headers['sec-websocket-protocol']).names;
  }

  /** The container of this connection. It is made when something is first resolved from it, and disposed at the connection's end. */
  get container(): DependencyContainer {
    const container = connectionContainer(this.#root);
    container.registerInstance(Scope, this);
    Object.defineProperty(this, 'container', { value: container });
    return container;
  }

  /** Whether something was resolved from the container. */
  get hasContainer(): boolean {
    return Object.hasOwn(this, 'container');
  }

  /**
   * The parameters of the path. Pass the route's pattern or a part of it for typed values, `scope.paramsAs(':room(int)').room`; or the
   * class or Standard Schema that the route declares and the handshake checks, `path('/ws/rooms/:room(int)/', RoomConsumer, { params:
   * RoomParams })`, `scope.paramsAs(RoomParams).room`.
   *
   * @throws ConfigurationError if the route does not declare it
   */
  paramsAs<const Pattern extends string>(pattern: Pattern): PathParams<Pattern>;
  paramsAs<T>(schema: ParameterSchema<T>): T;
  paramsAs<T>(declared: string | ParameterSchema<T>): object | T {
    if (typeof declared === 'string') return this.#parameters.ofPattern(declared);
    return this.#parameters.get('params', declared);
  }

  /**
   * The query, checked by the class or schema that the route declares: `path('/ws/', RoomConsumer, { query: RoomQuery })`.
   *
   * @throws ConfigurationError if the route does not declare it
   */
  queryAs<T>(schema: ParameterSchema<T>): T {
    return this.#parameters.get('query', schema);
  }

  /**
   * The headers by their names in lower case, checked by the class or schema that the route declares: `{ headers: TenantHeaders }`.
   *
   * @throws ConfigurationError if the route does not declare it
   */
  headersAs<T>(schema: ParameterSchema<T>): T {
    return this.#parameters.get('headers', schema);
  }
}

/** The key of the logged-in user, for logs, which show nothing else of a user. */
export function userKeyOf({ identity, user }: Scope): string | number | undefined {
  if (identity) return identity.userId;
  if (isKey(user)) return user;
  const id = idOf(user);
  return isKey(id) ? id : undefined;
}

/** The `id` of a user; undefined if reading it throws, because no request may fail for that. */
function idOf(user: unknown): unknown {
  try {
    return typeof user === 'object' && user !== null && 'id' in user ? user.id : undefined;
  } catch {
    return undefined;
  }
}

function isKey(value: unknown): value is string | number {
  return typeof value === 'string' || typeof value === 'number';
}
