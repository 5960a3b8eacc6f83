import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import type { ErrorTranslator } from '../dispatch/error-mapping.js';
import type { ApiError } from '../errors.js';
import type { Logger } from '../logger.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { Limits } from '../settings.js';
import { Status } from '../status.js';
import type { PlainRequest, PlainResponse } from './app-explorer.js';
import type { ListenAddress, ListenOptions, UpgradableServer } from './app-options.js';
import type { ClientAddresses } from './client-address.js';
import { type Handshake, pathOf } from './handshake.js';
import type { ConnectionLimiter } from './rate-limit.js';
import type { Transport } from './transport.js';
import type { WebSocketAcceptor } from './web-socket-transport.js';

/** The application behind its HTTP servers. */
export interface HttpApplication {
  /** @throws ApiError that refuses the handshake */
  accept(request: HandshakeRequest, connect: (scope: Scope) => Transport): Promise<unknown>;
  /** Answers a plain request that is the framework's; returns whether it was one. */
  answer(request: PlainRequest, response: PlainResponse): boolean;
}

/**
 * Sockets that may wait to be accepted, if the system allows it. When a server is gone, all its clients come at once; beyond
 * this number the system drops them, and they try again seconds later.
 */
const backlog = 4_096;

/** The way in from HTTP: servers of its own and of others, and the upgrades that come through them. */
export class HttpServer {
  /** What ends the counting of sockets that have not asked for a handshake. */
  readonly #silent = new Map<Duplex, () => void>();
  /** Sockets whose handshake is under way, and what becomes of them. */
  readonly #handshakes = new Map<Duplex, Promise<void>>();
  readonly #detach: (() => void)[] = [];
  readonly #servers: Server[] = [];
  /** When a refusal at a limit was logged last, by `Clock.elapsed`. */
  #limitLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly application: HttpApplication,
    private readonly handshake: Handshake,
    private readonly acceptor: WebSocketAcceptor,
    private readonly limiter: ConnectionLimiter,
    private readonly addresses: ClientAddresses,
    private readonly errors: ErrorTranslator,
    private readonly limits: Limits,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Makes a server that serves sockets, and nothing else. @throws Error with Node's `code` where it cannot listen, such as EADDRINUSE */
  async listen({ port = 0, host }: ListenOptions): Promise<Server> {
    const server = socketsOnly(this.limits, (request, response) => this.application.answer(request, response));
    server.on('connection', (socket) => this.#countSilent(socket));
    this.#servers.push(server);
    await new Promise<void>((resolve, reject) => {
      const refuse = (error: NodeJS.ErrnoException): void => reject(explained(error, port));
      server.once('error', refuse).listen(port, host, backlog, () => {
        server.off('error', refuse);
        resolve();
      });
    });
    return server;
  }

  attach(server: UpgradableServer): void {
    const isOwn = this.#servers.includes(server as Server);
    const serves = (url: string): boolean => this.handshake.serves(url);
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      this.#silent.get(socket)?.();
      if (!isOwn && !answers(server, request.url ?? '/', serves)) return;
      const handshake = this.#upgrade(request, socket, head).finally(() => this.#handshakes.delete(socket));
      this.#handshakes.set(socket, handshake);
    };
    const leave = share(server, serves);
    server.on('upgrade', upgrade);
    this.#detach.push(leave, () => server.off('upgrade', upgrade));
  }

  /** Accepts no more upgrades. Resolves once the servers of its own have no socket left. */
  async close(): Promise<void> {
    for (const leave of this.#detach.splice(0)) leave();
    await Promise.all(this.#servers.map(closeServer));
  }

  /** Refuses the handshakes that are under way. Resolves once nothing of them is left. */
  async refuse(error: ApiError): Promise<void> {
    for (const socket of this.#handshakes.keys()) refuseUpgrade(socket, error);
    await Promise.all(this.#handshakes.values());
  }

  /**
   * A socket that says nothing yet, or speaks plain HTTP. Those of a trusted proxy are not counted: whose they are stands in
   * headers. One above the limit is cut, for it has asked for nothing that could be answered.
   */
  #countSilent(socket: Socket): void {
    const address = this.addresses.ofClient(socket.remoteAddress);
    if (address === undefined) return;
    const caller = this.limiter.addSocket(address);
    if (!caller) {
      socket.destroy();
      return;
    }
    const leave = (): void => {
      socket.off('close', leave);
      if (this.#silent.delete(socket)) caller.sockets -= 1;
    };
    this.#silent.set(socket, leave);
    socket.once('close', leave);
  }

  /** Never rejects. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', destroy);
    try {
      await this.application.accept(toHandshakeRequest(request), ({ subprotocol }) =>
        this.acceptor.accept(request, socket, head, subprotocol),
      );
    } catch (thrown) {
      const error = this.errors.translate(thrown, { handshake: pathOf(request) });
      refuseUpgrade(socket, error, this.handshake.refusalHeaders(request.url ?? '/', error));
      this.#noteRefusal(request, error);
    }
  }

  /** Refusals at a limit come by the thousand and are counted: a line a second is enough of them. */
  #noteRefusal(request: IncomingMessage, error: ApiError): void {
    const { status, code, remedy = remedies[error.status] } = error;
    if (status === Status.tooManyRequests || status === Status.unavailable) {
      const now = this.clock.elapsed();
      if (now - this.#limitLoggedAt < 1_000) return;
      this.#limitLoggedAt = now;
    }
    const { origin, host } = request.headers;
    const level = status >= Status.serverError ? 'warn' : 'info';
    this.logger[level]('An upgrade was refused.', { path: pathOf(request), status, code, origin, host, remedy });
  }
}

/** Node's error with a sentence for its message, which says what to do. */
function explained(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    error.message = `Port ${port} is taken. Stop the program that uses it, or listen on another one: app.listen({ port }).`;
  if (error.code === 'EACCES')
    error.message = `This user may not listen on port ${port}. Choose one above 1023: app.listen({ port: 8000 }).`;
  return error;
}

/** What would have to change, where the error does not say. */
const remedies: Readonly<Record<number, string>> = {
  [Status.badRequest]: 'See the parameters of the route, and whether the client speaks WebSocket.',
  [Status.unauthorized]: 'See the middleware that authenticates on this route.',
  [Status.forbidden]: 'See the permissions of the consumers and the middleware of this route.',
};

/**
 * Where clients find a server of `listen`: `ws://localhost:8000`.
 *
 * @param host to listen on; undefined for all addresses
 */
export function urlOf({ address, port }: ListenAddress, host: string | undefined): string {
  const isEverywhere = address === '::' || address === '0.0.0.0';
  const name = isEverywhere ? 'localhost' : (host ?? address);
  return `ws://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

/** Knows nothing of the request, which would live as long as its socket. */
function destroy(this: Duplex): void {
  this.destroy();
}

function toHandshakeRequest({ url = '/', headers, socket }: IncomingMessage): HandshakeRequest {
  const { remoteAddress } = socket;
  return { url, headers, encrypted: 'encrypted' in socket, ...(remoteAddress !== undefined && { remoteAddress }) };
}

/**
 * Answers an upgrade request with a status and a sentence, before any frame, and hangs up: HTTP servers keep sockets half
 * open for clients that do not. Does nothing where the request is answered already or the client is gone.
 */
function refuseUpgrade(
  socket: Duplex,
  { status, message, retryAfter }: ApiError,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (!socket.writable) return;
  socket.once('finish', () => socket.destroy());
  const body = `${message}\n`;
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Error'}`,
      'Connection: close',
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      'Content-Type: text/plain; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(retryAfter === undefined ? [] : [`Retry-After: ${Math.ceil(retryAfter / 1000)}`]),
      '',
      body,
    ].join('\r\n'),
  );
}

/** Answers plain requests with 426, and waits for none for long: 408. */
function socketsOnly(
  { headersTime, requestTime, requestCheckInterval }: Limits,
  answers: (request: IncomingMessage, response: ServerResponse) => boolean,
): Server {
  const options = {
    headersTimeout: headersTime,
    // Node.js wants that headers take no longer than the whole request.
    requestTimeout: Math.max(requestTime, headersTime),
    connectionsCheckingInterval: requestCheckInterval,
  };
  return createServer(options, (request, response) => {
    if (answers(request, response)) return;
    response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'upgrade' });
    response.end('This server speaks WebSocket.\n');
  });
}

/** Hangs up on plain HTTP. Resolves when the upgraded sockets are gone too. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

type Serves = (url: string) => boolean;

/** The applications of this process on one HTTP server, in the order in which they were attached. */
const applications = new WeakMap<UpgradableServer, readonly Serves[]>();

/** Notes an application that is attached to a server. Returns what ends it. */
function share(server: UpgradableServer, serves: Serves): () => void {
  applications.set(server, [...sharing(server), serves]);
  return () => {
    const others = sharing(server).filter((other) => other !== serves);
    applications.set(server, others);
  };
}

/**
 * Whether this application answers an upgrade, if only to refuse it. What it does not serve may be another library's; where
 * all that listen are applications of ours, the first of them refuses what none serves.
 */
function answers(server: UpgradableServer, url: string, serves: Serves): boolean {
  if (serves(url)) return true;
  const ours = sharing(server);
  if (server.listenerCount('upgrade') > ours.length) return false;
  return ours[0] === serves && !ours.some((other) => other(url));
}

function sharing(server: UpgradableServer): readonly Serves[] {
  return applications.get(server) ?? [];
}
