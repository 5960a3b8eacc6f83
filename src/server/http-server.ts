import { rm, stat } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { connect, isIPv6 } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Clock } from '../clock.js';
import type { ErrorTranslator } from '../dispatch/error-mapping.js';
import type { ApiError } from '../errors.js';
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
    private readonly sockets: HttpSockets,
    private readonly errors: ErrorTranslator,
    private readonly limits: Limits,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {}

  /** Makes a server that serves sockets, and nothing else. @throws Error with Node's `code` where it cannot listen, such as EADDRINUSE */
  async listen({ port = 0, host, path }: ListenOptions): Promise<ListenAddress> {
    const server = socketsOnly(this.limits, (request, response) => this.application.answer(request, response));
    this.#servers.push(server);
    if (path === undefined) await listening(server, { port, host, backlog }, (error) => explained(error, port));
    else await listeningOnPath(server, path);
    this.attach(server, {});
    const address = server.address();
    return typeof address === 'object' && address ? address : { address: path ?? '', family: 'unix', port: 0 };
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

  /** Never rejects. */
  async #upgrade(server: object, request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', destroy);
    this.sockets.upgraded(socket);
    const asked = this.sockets.requestOf(request, server);
    // A client that is gone already may have no address any more, by which it would count.
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

const unwatched =
  'The sockets of this HTTP server have no limits before their handshake: it is neither of node:http nor of node:https.';

/** How long Node.js waits for the headers of a request unless it is told. */
const nodesHeadersTimeout = 60_000;

/** Where the application has not chosen a time. How long a body may take is for the application to say. */
function waitNoLongerForHeaders(server: UpgradableServer, { headersTime }: Limits): void {
  if ('headersTimeout' in server && server.headersTimeout === nodesHeadersTimeout) server.headersTimeout = headersTime;
}

/** @throws what `explain` makes of Node's error */
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

/** The file of a socket outlives a process that is killed. One behind which nothing listens is removed. */
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

/** Node's error with a sentence for its message, which says what to do. */
function explained(error: NodeJS.ErrnoException, port: number): Error {
  if (error.code === 'EADDRINUSE')
    error.message = `Port ${port} is taken. Stop the program that uses it, or listen on another one: app.listen({ port }).`;
  if (error.code === 'EACCES')
    error.message = `This user may not listen on port ${port}. Choose one above 1023: app.listen({ port: 8000 }).`;
  return error;
}

function explainedOfPath(error: NodeJS.ErrnoException, path: string): Error {
  if (error.code === 'EADDRINUSE')
    error.message = `Another program listens on ${path}, or the file is no socket. Stop that program, or listen on another path: app.listen({ path }).`;
  if (error.code === 'EACCES')
    error.message = `This user may not listen on ${path}. Choose a folder that it may write to: app.listen({ path }).`;
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
export function urlOf({ address, family, port }: ListenAddress, host: string | undefined): string {
  if (family === 'unix') return `unix:${address}`;
  const isEverywhere = address === '::' || address === '0.0.0.0';
  const name = isEverywhere ? 'localhost' : (host ?? address);
  return `ws://${isIPv6(name) ? `[${name}]` : name}:${port}`;
}

/** Knows nothing of the request, which would live as long as its socket. */
function destroy(this: Duplex): void {
  this.destroy();
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
