import type { DependencyContainer } from 'tsyringe';
import { currentWork } from '../async-context.js';
import { connectionContainer } from './connection-container.js';
import { cookiesOf, offeredSubprotocols } from './headers.js';
import { type ParameterSchema, type PathParams, RouteParameters } from './route-parameters.js';
import type { Identity, ScopeSession, ScopeUser } from './scope-types.js';

/** Where a scope keeps its ownership. Not exported to applications, which log in through `Connections`. */
export const ownership = Symbol('ownership');

/** The two parts of what a client asks for, `/ws/chat/?room=1`; the query is empty where there is none. */
export function pathAndQuery(url: string): readonly [path: string, query: string] {
  const mark = url.indexOf('?');
  return mark === -1 ? [url, ''] : [url.slice(0, mark), url.slice(mark + 1)];
}

/** Without the query, where tickets stand: it is what logs show. */
export function pathOf({ url = '/' }: { readonly url?: string | undefined }): string {
  const [path] = pathAndQuery(url);
  return path;
}

/** What is known of a handshake before anything is asked. */
export interface HandshakeRequest {
  /** Path and query: `/ws/chat/?room=1`. */
  readonly url: string;
  /** By their names in lower case, as Node gives them. */
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

/** The user of a connection, as scope middleware or a login gave it. */
export interface UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
}

/** What a request that logs in has made of the facts. */
interface Proposal extends UserFacts {
  /** Whether it was another user at some moment of it. */
  isOther: boolean;
}

/**
 * Whose connection it is. What a login proposes is seen by the request that logs in and by nothing else, until that request has
 * succeeded: another one would be served as a user whose login then fails.
 */
export class Ownership implements UserFacts {
  user: ScopeUser | undefined;
  session: ScopeSession | undefined;
  identity: Identity | undefined;
  /** By the requests that log in and are not answered. */
  #proposals: Map<object, Proposal> | undefined;
  /** Resolves once it is known whose connection it is; undefined where it is. Set by `holdUntil`. */
  settling: Promise<void> | undefined;

  /** The facts as the running code sees them. */
  get seen(): UserFacts {
    const work = this.#proposals && currentWork.getStore();
    return (work && this.#proposals?.get(work)) ?? this;
  }

  /** Outside of any request the facts hold at once. @returns whether the running request has proposed nothing before */
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
   * Ends what the request has proposed; where it succeeded, that holds for all from now on.
   *
   * @returns whether the request was another user's meanwhile
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

  /** Whether a request that logs in is not answered. */
  get isProposed(): boolean {
    return this.#proposals !== undefined;
  }

  /** While it is open whose connection it is, no request begins. @param done never rejects */
  holdUntil(done: Promise<void>): void {
    const before = this.settling;
    const settling = before ? Promise.all([before, done]).then(() => {}) : done;
    this.settling = settling;
    void settling.then(() => {
      if (this.settling === settling) this.settling = undefined;
    });
  }
}

/** The facts of one connection: the same object for all its consumers, actions and permissions. */
export class Scope {
  /** The path of the URL, without its query. */
  readonly path: string;
  /** Set by the route, as text: `/ws/rooms/:room/` gives `{ room: '1' }`. `paramsAs` gives them checked and typed. */
  readonly params: Readonly<Record<string, string>>;
  /** As they came: those that begin with `x-forwarded-` may be the client's own words. */
  readonly headers: HandshakeRequest['headers'];
  /** The address of the client, as far as trusted proxies say; `unix:` where they do not and the socket is a Unix socket. */
  readonly remoteAddress: string | undefined;
  /** The host that the client asked, with its port unless it is the protocol's own, as far as trusted proxies say. */
  readonly host: string | undefined;
  /** `https` where the client came over TLS, as far as trusted proxies say. */
  readonly protocol: 'http' | 'https';
  /** The subprotocol that was agreed on. Scope middleware may choose one of those that are offered; else the consumer's options do. */
  subprotocol: string | undefined;
  readonly [ownership] = new Ownership();
  readonly #queryText: string;
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
    [this.path, this.#queryText] = pathAndQuery(request.url);
    this.params = params;
    this.headers = request.headers;
    this.remoteAddress = request.remoteAddress;
    this.host = hostOf(request);
    this.protocol = request.encrypted ? 'https' : 'http';
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

  /** The query of the URL, without a ticket of `queryTicket`. `queryAs` gives it checked and typed. */
  get query(): URLSearchParams {
    this.#query ??= new URLSearchParams(this.#queryText);
    return this.#query;
  }

  /** By name, with their escapes (`%20`) read. Of several cookies of one name, the first counts. */
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

/** The key of the user who is logged in, for logs: nothing else of a user belongs there. */
export function userKeyOf({ identity, user }: Scope): string | number | undefined {
  if (identity) return identity.userId;
  if (isKey(user)) return user;
  const id = idOf(user);
  return isKey(id) ? id : undefined;
}

/** A user of the application's making may throw when it is looked at; no request ends for that. */
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
