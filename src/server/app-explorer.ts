import type { ApiError } from '../errors.js';
import type { ChangeInspector, DeliveryInspector } from '../inspection.js';
import type { Logger } from '../logger.js';
import type { HandshakeRequest } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import type { ApplicationDescription } from './description.js';

/** The debug page of an application, as `explorer()` of `signalbox/explorer` makes it. */
export interface AppExplorer {
  /**
   * Called once, by `createApp`.
   *
   * @returns undefined where it must not be seen: it then answers no request and hears of nothing
   * @throws ConfigurationError
   */
  begin(app: ExploredApp): AppInspector | undefined;
}

/** What an explorer shows of an application. */
export interface ExploredApp {
  readonly settings: Settings;
  readonly logger: Logger;
  describe(): ApplicationDescription;
  clientOf(request: PlainRequest): RequestClient;
}

/** A running explorer: answers plain requests, and hears of changes and of the connections that its pages open. */
export interface AppInspector extends ChangeInspector {
  /** Where its page is. */
  readonly path: string;
  /** Returns whether the request was one of the explorer's. */
  answer(request: PlainRequest, response: PlainResponse): boolean;
  /** Undefined for the handshake of any other client. */
  watch(request: HandshakeRequest): WatchedHandshake | undefined;
  /** Ends its answers that are open. */
  close(): void;
}

/** The handshake of a page of the explorer. */
export interface WatchedHandshake extends DeliveryInspector {
  /** As any client would send it: without what marks it. */
  readonly request: HandshakeRequest;
  refused(error: ApiError): void;
  /** @param inspect reads the state of the connection at the time of the call */
  opened(inspect: () => ConnectionState): void;
  closed(): void;
}

/** The state of a connection, as plain data. Secrets of the handshake are redacted. */
export interface ConnectionState {
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;
  readonly remoteAddress: string | null;
  readonly subprotocol: string | null;
  readonly user: unknown;
  readonly session: unknown;
  readonly identity: unknown;
  /** By stream; the consumer of a route with only one has an empty name. Streams that were not used yet are absent. */
  readonly streams: Readonly<Record<string, StreamState>>;
  /** Streams whose permissions refused to connect. */
  readonly refused: readonly string[];
}

export interface StreamState {
  readonly consumer: string;
  /** The groups that the consumer joined by `addGroup` or `@Groups`. */
  readonly groups: readonly string[];
  readonly subscriptions: readonly SubscriptionState[];
}

export interface SubscriptionState {
  readonly requestId: string | number;
  readonly observer: string;
  readonly member: string;
  /** Without the name of the observer. */
  readonly groups: readonly string[];
  readonly requests: readonly { readonly action: string; readonly kwargs: unknown }[];
}

/** As much of Node's `IncomingMessage` and `ServerResponse` as is needed, so that browsers can import the type of an application. */
export interface PlainRequest {
  /** Path and query. */
  readonly url?: string | undefined;
  readonly method?: string | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The client of an HTTP request, and the host that it asked, as far as trusted proxies say. */
export interface RequestClient {
  /** `unix:` for a client that comes over a Unix socket; undefined where the client is gone. */
  readonly address: string | undefined;
  /** What limits by address count by: of an IPv6 address its /64. */
  readonly network: string;
  /** The host that the client asked, with its port unless it is the protocol's own; undefined where it named none. */
  readonly host: string | undefined;
  /** How the client came, not the proxy. */
  readonly protocol: 'http' | 'https';
}

export interface PlainResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  write(text: string): unknown;
  end(body?: string | Uint8Array): unknown;
  on(event: 'close', listener: () => void): unknown;
  readonly writableLength: number;
}
