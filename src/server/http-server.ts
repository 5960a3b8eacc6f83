import { rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import type { ErrorTranslator } from '../dispatch/error-mapping.js';
import { type ApiError, ServerClosing } from '../errors.js';
import type { Logger } from '../logger.js';
import { type HandshakeRequest, pathOf, type Scope } from '../scope/scope.js';
import type { Limits } from '../settings.js';
import { Status } from '../status.js';
import type { PlainRequest, PlainResponse } from './app-explorer.js';
import type { AttachOptions, ListenAddress, ListenOptions, UpgradableServer } from './app-options.js';
import type { Handshake } from './handshake.js';
import type { HttpSockets } from './http-sockets.js';
import type { Transport } from './transport.js';
import type { WebSocketAcceptor } from './web-socket-transport.js';

/** The application behind its HTTP servers. */
export interface HttpApplication {
  /** @throws ApiError that refuses the handshake */
  accept(request: HandshakeRequest, connect: (scope: Scope) => Transport): Promise<unknown>;
  /** Answers a plain request of the framework; returns whether it was one. */
  answer(request: PlainRequest, response: PlainResponse): boolean;
}

/**
 * Sockets that may wait to be accepted, if the system allows it. When a server stops, all its clients reconnect at once; sockets above this
 * number are dropped by the system, and their clients retry seconds later.
 */
const backlog = 4_096;

/** Accepts sockets over HTTP: from its own servers and from attached ones, and their upgrades. */
export class HttpServer {
  /** Sockets with a handshake in progress, and its outcome. */
  readonly #handshakes = new Map<Duplex, Promise<void>>();
  readonly #detach: (() => void)[] = [];
  readonly #servers: Server[] = [];
  /** Rejects when it closes. */
  readonly #closing = Promise.withResolvers<never>();
  /** When a refusal at a limit was logged last, by `Clock.elapsed`. */
  #limitLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly application: HttpApplication,
    private readonly handshake: Handshake,
    private readonly acceptor: WebSocketAcceptor,
    private readonly sockets: HttpSockets,
    private readonly errors: ErrorTranslator,
    private readonly limits: Limits,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.#closing.promise.catch(() => {});
  }

  /**
   * Makes a server that serves sockets, and nothing else.
   *
   * @throws Error with Node's `code` if it cannot listen, such as EADDRINUSE; ServerClosing if it is closed before it listens
   */
  async listen({ port = 0, host, path }: ListenOptions): Promise<ListenAddress> {
    const server = socketsOnly(this.limits, (request, response) => this.application.answer(request, response));
    this.#servers.push(server);
    const begun =
      path === undefined
        ? listening(server, { port, host, backlog }, (error) => explained(error, port))
        : listeningOnPath(server, path);
    await this.#unlessClosed(server, begun);
    this.attach(server, {});
    const address = server.address();
    return typeof address === 'object' && address ? address : { address: path ?? '', family: 'unix', port: 0 };
  }

  /** A server of Node.js that is closed before it listens does not report that, and may even listen afterwards. */
  async #unlessClosed(server: Server, listening: Promise<void>): Promise<void> {
    const closing = this.#closing.promise;
    closing.catch(() => listening.then(() => server.close()).catch(() => {}));
    await Promise.race([closing, listening]);
  }

  attach(server: UpgradableServer, { limitSockets = true }: AttachOptions): void {
    const isOwn = this.#servers.includes(server as Server);
    const serves = (url: string): boolean => this.handshake.serves(url);
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      if (!isOwn && !answers(server, request.url ?? '/', serves)) {
        this.sockets.upgraded(socket);
        return;
      }
      const handshake = this.#upgrade(server, request, socket, head).finally(() => this.#handshakes.delete(socket));
      this.#handshakes.set(socket, handshake);
    };
    const leave = share(server, serves);
    const unwatch = this.sockets.watch(server, limitSockets);
    if (!unwatch && limitSockets) this.logger.warn(unwatched);
    if (!isOwn && limitSockets) waitNoLongerForHeaders(server, this.limits);
    server.on('upgrade', upgrade);
    this.#detach.push(
      leave,
      () => server.off('upgrade', upgrade),
      () => unwatch?.(),
    );
  }

  /** Accepts no more upgrades. Resolves when its own servers have no socket left. */
  async close(): Promise<void> {
    this.#closing.reject(new ServerClosing());
    for (const leave of this.#detach.splice(0)) leave();
    await Promise.all(this.#servers.map(closeServer));
  }

  /** Refuses the handshakes in progress. Resolves when none is left. */
  async refuse(error: ApiError): Promise<void> {
    for (const socket of this.#handshakes.keys()) refuseUpgrade(socket, error);
    await Promise.all(this.#handshakes.values());
  }

  /** Never rejects. */
  async #upgrade(server: object, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', destroy);
    this.sockets.upgraded(socket);
    const asked = this.sockets.requestOf(request, server);
    // A client that has already disconnected may have no address any more, by which it would be counted.
    if (socket.destroyed) return;
    try {
      this.sockets.checkRoom(socket);
      await this.application.accept(asked, ({ subprotocol }) =>
        this.acceptor.accept(request, socket, head, subprotocol),
      );
    } catch (thrown) {
      const error = this.errors.translate(thrown, { handshake: pathOf(request) });
      refuseUpgrade(socket, error, this.handshake.refusalHeaders(request.url ?? '/', error));
      this.#noteRefusal(request, error);
    }
  }

  /** Logs at most one refusal per second at a limit: they come by the thousand, and are counted. */
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

const unwatched =
  'The sockets of this HTTP server have no limits before their handshake: it is neither of node:http nor of node:https.';

/** Node's default time for the headers of a request, in milliseconds. */
const nodesHeadersTimeout = 60_000;

/** Shortens the time for headers, if the application has not chosen one. The time for a body is the application's decision. */
function waitNoLongerForHeaders(server: UpgradableServer, { headersTime }: Limits): void {
  if ('headersTimeout' in server && server.headersTimeout === nodesHeadersTimeout) server.headersTimeout = headersTime;
}

/** @throws the error that `explain` makes of Node's */
async function listening(
  server: Server,
  options: { port?: number; host?: string | undefined; path?: string; backlog: number },
  explain: (error: NodeJS.ErrnoException) => Error,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(explain(error));
    server.once('error', refuse).listen(options, () => {
      server.off('error', refuse);
      resolve();
    });
  });
}

/** Listens on a Unix socket. The file of a socket outlives a killed process; a file that no process listens on is removed. */
async function listeningOnPath(server: Server, path: string): Promise<void> {
  const options = { path, backlog };
  try {
    await listening(server, options, (error) => explainedOfPath(error, path));
  } catch (thrown) {
    const error = thrown as NodeJS.ErrnoException;
    if (error.code !== 'EADDRINUSE' || !(await isLeftOver(path))) throw error;
    await rm(path, { force: true });
    await listening(server, options, (again) => explainedOfPath(again, path));
  }
}

async function isLeftOver(path: string): Promise<boolean> {
  if (!(await stat(path)).isSocket()) return false;
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code === 'ECONNREFUSED'));
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
  });
}

/** Node's error with a sentence that says what to do. */
function explained(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    error.message = `Port ${port} is taken. Stop the program that uses it, or listen on another one: app.listen({ port }).`;
  if (error.code === 'EACCES')
    error.message = `This user may not listen on port ${port}. Choose one above 1023: app.listen({ port: 8000 }).`;
  return error;
}

function explainedOfPath(error: NodeJS.ErrnoException, path: string): Error {
  if (error.code === 'EADDRINUSE')
    error.message = `Another program listens on ${path}, or the file is not a socket. Stop that program, or listen on another path: app.listen({ path }).`;
  if (error.code === 'EACCES')
    error.message = `This user may not listen on ${path}. Choose a folder that it may write to: app.listen({ path }).`;
  return error;
}

/** Remedies for refusals whose errors contain none. */
const remedies: Readonly<Record<number, string>> = {
  [Status.badRequest]: 'See the parameters of the route, and whether the client speaks WebSocket.',
  [Status.unauthorized]: 'See the middleware that authenticates on this route.',
  [Status.forbidden]: 'See the permissions of the consumers and the middleware of this route.',
};

/**
 * The url of a server of `listen`: `ws://localhost:8000`.
 *
 * @param host to listen on; undefined for all addresses
 */
export function urlOf({ address, family, port }: ListenAddress, host: string | undefined): string {
  if (family === 'unix') return `unix:${address}`;
  const isEverywhere = address === '::' || address === '0.0.0.0';
  const name = isEverywhere ? 'localhost' : (host ?? address);
  return `ws://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

/** Has no reference to the request, which would otherwise live as long as its socket. */
function destroy(this: Duplex): void {
  this.destroy();
}

/**
 * Answers an upgrade request with a status and a sentence, before any frame, and ends the socket: HTTP servers keep sockets half open for
 * clients that do not. Does nothing if the request is answered already or the client has disconnected.
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

/** A server that answers plain requests with 426, and incomplete ones with 408 after a time limit. */
function socketsOnly(
  { headersTime, requestTime, requestCheckInterval }: Limits,
  answers: (request: IncomingMessage, response: ServerResponse) => boolean,
): Server {
  const options = {
    headersTimeout: headersTime,
    // In Node.js headers must not take longer than the whole request.
    requestTimeout: Math.max(requestTime, headersTime),
    connectionsCheckingInterval: requestCheckInterval,
  };
  return createServer(options, (request, response) => {
    if (answers(request, response)) return;
    response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'upgrade' });
    response.end('This server speaks WebSocket.\n');
  });
}

/** Ends plain HTTP connections. Resolves when the upgraded sockets have closed too. */
function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

type Serves = (url: string) => boolean;

/** The applications of this process on one HTTP server, in the order in which they were attached. */
const applications = new WeakMap<UpgradableServer, readonly Serves[]>();

/** Notes an application that is attached to a server. Returns a function that removes it. */
function share(server: UpgradableServer, serves: Serves): () => void {
  applications.set(server, [...sharing(server), serves]);
  return () => {
    const others = sharing(server).filter((other) => other !== serves);
    applications.set(server, others);
  };
}

/**
 * Whether this application answers an upgrade, even if only to refuse it. An upgrade that it does not serve may belong to another library;
 * if all listeners are applications of ours, the first of them refuses what none serves.
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
