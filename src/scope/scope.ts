import type { DependencyContainer } from 'tsyringe';
import type { Identity } from './identity.js';
import type { ScopeSession, ScopeUser } from './scope-types.js';

/** What is known of a handshake before anything is asked. */
export interface HandshakeRequest {
  /** Path and query: `/ws/chat/?room=1`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly remoteAddress?: string;
  /** Whether the client came over TLS. */
  readonly encrypted?: boolean;
}

/** The facts of one connection: the same object for all its consumers, actions and permissions. */
export class Scope {
  readonly path: string;
  /** Set by the route: `/ws/rooms/:room/` gives `{ room: '1' }`. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: HandshakeRequest['headers'];
  readonly cookies: Readonly<Record<string, string>>;
  readonly remoteAddress: string | undefined;
  /** What the client offers to speak, the preferred one first. */
  readonly subprotocols: readonly string[];
  /** The one that was agreed on. Scope middleware may choose one of those that are offered; else the consumer's options do. */
  subprotocol: string | undefined;
  /** Set by scope middleware; undefined while nobody is logged in. */
  user: ScopeUser | undefined;
  /** Set by scope middleware. */
  session: ScopeSession | undefined;
  /** Set by scope middleware beside the user; undefined while nobody is authenticated. */
  identity: Identity | undefined;
  /** The container of this connection; disposed with it. */
  readonly container: DependencyContainer;

  constructor(request: HandshakeRequest, params: Readonly<Record<string, string>>, container: DependencyContainer) {
    const { pathname, searchParams } = new URL(request.url, 'ws://host');
    this.path = pathname;
    this.params = params;
    this.query = searchParams;
    this.headers = request.headers;
    this.cookies = cookiesOf(request.headers.cookie);
    this.remoteAddress = request.remoteAddress;
    this.subprotocols = subprotocolsOf(request.headers['sec-websocket-protocol']);
    this.container = container;
  }
}

/** The first cookie of a name wins (RFC 6265 gives no order; servers agree on the first). */
function cookiesOf(header: string | string[] | undefined): Record<string, string> {
  const cookies: Record<string, string> = Object.create(null);
  for (const pair of [header ?? ''].flat().join(';').split(';')) {
    const [name, ...rest] = pair.split('=');
    const key = name?.trim();
    if (!key || rest.length === 0 || key in cookies) continue;
    cookies[key] = decoded(
      rest
        .join('=')
        .trim()
        .replace(/^"(.*)"$/, '$1'),
    );
  }
  return cookies;
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function subprotocolsOf(header: string | string[] | undefined): string[] {
  const names = [header ?? ''].flat().join(',').split(',');
  return names.map((name) => name.trim()).filter((name) => name !== '');
}
