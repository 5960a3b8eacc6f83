import type { ApiError } from '../errors.js';
import type { ChangeInspector, DeliveryInspector } from '../inspection.js';
import type { Logger } from '../logger.js';
import type { HandshakeRequest } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import type { ApplicationDescription } from './description.js';

/** The debug page of an application, from `explorer()` of `signalbox/explorer`. */
export interface AppExplorer {
  /**
   * Called once, by `createApp`.
   *
   * @returns undefined if the page is not served: then the explorer answers no request and receives no changes
   * @throws ConfigurationError
   */
  begin(app: ExploredApp): AppInspector | undefined;
}

/** The parts of an application that an explorer shows. */
export interface ExploredApp {
  readonly settings: Settings;
  readonly logger: Logger;
  describe(): ApplicationDescription;
  clientOf(request: PlainRequest): RequestClient;
}

/** A running explorer: it answers plain requests, and receives changes and the connections that its pages open. */
export interface AppInspector extends ChangeInspector {
  /** The path of its page. */
  readonly path: string;
  /** Returns whether the request was one of the explorer's. */
  answer(request: PlainRequest, response: PlainResponse): boolean;
  /** Watches a handshake; undefined for handshakes of other clients. */
  watch(request: HandshakeRequest): WatchedHandshake | undefined;
  /** Ends its open answers. */
  close(): void;
}

/** The handshake of an explorer's page. */
export interface WatchedHandshake extends DeliveryInspector {
  /** The request as another client would send it, without the page's mark. */
  readonly request: HandshakeRequest;
  refused(error: ApiError): void;
  /** @param inspect reads the current state of the connection */
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
  /** The state of each used stream; the consumer of a route without streams has an empty name. */
  readonly streams: Readonly<Record<string, StreamState>>;
  /** Streams whose connect permissions refused. */
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
  /** The groups without the observer's name. */
  readonly groups: readonly string[];
  readonly requests: readonly { readonly action: string; readonly kwargs: unknown }[];
}

/** The part of Node's `IncomingMessage` that is needed. It is no Node type, so that browsers can import the type of an application. */
export interface PlainRequest {
  /** The path and query. */
  readonly url?: string | undefined;
  /** The HTTP method in capital letters. */
  readonly method?: string | undefined;
  /** The headers, by names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** The socket, with the address of its client or proxy. */
  readonly socket: { readonly remoteAddress?: string | undefined };
}

/** The client of an HTTP request and the requested host, by the headers of trusted proxies. */
export interface RequestClient {
  /** The client's address; `unix:` for a Unix socket; undefined if the client has disconnected. */
  readonly address: string | undefined;
  /** The key for limits by address: for an IPv6 address its /64. */
  readonly network: string;
  /** The requested host, with the port unless it is the protocol's default; undefined if the client named none. */
  readonly host: string | undefined;
  /** The protocol of the client, not of the proxy. */
  readonly protocol: 'http' | 'https';
}

export interface PlainResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  write(text: string): unknown;
  end(body?: string | Uint8Array): unknown;
  on(event: 'close', listener: () => void): unknown;
  readonly writableLength: number;
}
