import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { ApiError, NotFound, ServerClosing } from '../errors.js';
import { ModelSubscriber } from '../orm/model-subscriber.js';
import { registerSubscriber } from '../orm/orm-root.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import { CloseCode, Status } from '../status.js';
import type { AppOptions } from './app-options.js';
import { Connection } from './connection.js';
import type { Route } from './router.js';
import { buildServices, type Services } from './services.js';
import type { Transport } from './transport.js';
import { refuseUpgrade, toHandshakeRequest } from './upgrade.js';
import { WebSocketAcceptor } from './web-socket-transport.js';

/** Carries types only; no value is ever there. */
export declare const appTypes: unique symbol;

export interface ListenOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default all addresses. */
  readonly host?: string;
}

/** A running application: accepts sockets, closes them, and ends. */
export class App<Routes extends readonly Route[] = readonly Route[]> {
  declare readonly [appTypes]: Routes;
  readonly #services: Services;
  readonly #acceptor: WebSocketAcceptor;
  readonly #connections = new Set<Connection>();
  readonly #detach: (() => void)[] = [];
  #server: Server | undefined;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: AppOptions<Routes>) {
    this.#services = buildServices(options);
    const { settings, logger, committed } = this.#services;
    this.#acceptor = new WebSocketAcceptor(settings.maxPayload, logger);
    const subscriber = new ModelSubscriber((changes) => this.#stopped ?? committed.send(changes));
    registerSubscriber(options.orm, subscriber);
  }

  /** Runs the start hooks, once. `listen` and `attach` do it by themselves. */
  start(): Promise<void> {
    this.#started ??= this.#each('start');
    return this.#started;
  }

  /** Serves sockets, and nothing else, on a port of its own. Resolves with the address that it listens on. */
  async listen({ port = 0, host }: ListenOptions = {}): Promise<AddressInfo> {
    const server = createServer((_request, response) => {
      response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket', connection: 'upgrade' });
      response.end('This server speaks WebSocket.\n');
    });
    await this.start();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(port, host, () => resolve());
    });
    this.#server = server;
    await this.attach(server);
    return server.address() as AddressInfo;
  }

  /** Serves sockets on an HTTP server that stays the caller's: its requests, its port and its closing. */
  async attach(server: Server): Promise<void> {
    await this.start();
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      const isAlone = server.listenerCount('upgrade') === 1;
      void this.#upgrade(request, socket, head, isAlone);
    };
    server.on('upgrade', upgrade);
    this.#detach.push(() => server.off('upgrade', upgrade));
    await this.#each('ready');
  }

  /**
   * Admits a connection over any transport; the testing kit has one without a network.
   *
   * @param connect called once the handshake is granted
   * @param prepare sets facts of the scope after the middleware ran
   * @throws ApiError that refuses the handshake
   */
  async accept(
    request: HandshakeRequest,
    connect: () => Promise<Transport>,
    prepare?: (scope: Scope) => void,
  ): Promise<void> {
    if (this.#stopped) throw new ServerClosing();
    const admission = await this.#services.handshake.admit(request, prepare);
    const connection = new Connection(admission, await connect(), this.#services, (gone) =>
      this.#connections.delete(gone),
    );
    this.#connections.add(connection);
    connection.open();
  }

  /** Resolves when all that was committed until now has been delivered to the connections of this process. */
  async idle(): Promise<void> {
    await this.#services.publisher.idle();
    await Promise.all([...this.#connections].map((connection) => connection.idle()));
  }

  /**
   * Ends: no new sockets, running requests are answered 503, clients are told 1001 and cut after `closeTimeout`, hooks run.
   * What was attached to stays open.
   */
  close(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const { layer, settings } = this.#services;
    for (const detach of this.#detach.splice(0)) detach();
    const closed = Promise.all([...this.#connections].map((connection) => connection.closed));
    for (const connection of this.#connections) void this.#dismiss(connection);
    const cut = setTimeout(() => this.#terminateAll(), settings.closeTimeout);
    await closed;
    clearTimeout(cut);
    await layer.close();
    await this.#closeServer();
    await this.#each('stop');
  }

  /** The close frame is the last one: what is rolled back is answered first. */
  async #dismiss(connection: Connection): Promise<void> {
    await connection.abort(new ServerClosing());
    connection.close(CloseCode.goingAway, 'The server is closing.');
  }

  #terminateAll(): void {
    for (const connection of this.#connections) connection.terminate();
  }

  async #closeServer(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, isAlone: boolean): Promise<void> {
    socket.on('error', () => socket.destroy());
    try {
      await this.accept(toHandshakeRequest(request), () => this.#acceptor.accept(request, socket, head));
    } catch (thrown) {
      // Another library may serve this path on the same server.
      if (thrown instanceof NotFound && !isAlone) return;
      const refusal = thrown instanceof ApiError ? thrown : undefined;
      refuseUpgrade(socket, refusal?.status ?? Status.serverError, refusal?.message ?? 'The handshake failed.');
    }
  }

  async #each(hook: 'start' | 'ready' | 'stop'): Promise<void> {
    const { hooks, unitOfWork, logger } = this.#services;
    for (const provider of hook === 'stop' ? hooks.toReversed() : hooks) {
      try {
        await unitOfWork.run(async () => provider[hook]?.());
      } catch (error) {
        if (hook !== 'stop') throw error;
        logger.error('A stop hook failed.', { provider: provider.constructor.name, error });
      }
    }
  }
}

/**
 * Puts an application together. Everything that decorators and options say is checked here, before the first socket.
 *
 * ```ts
 * const app = createApp({ orm, routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer }))] });
 * export type Api = AppApi<typeof app>;
 * await app.listen({ port: 8000 });
 * ```
 *
 * @throws ConfigurationError which names class, member, reason and way out
 */
export function createApp<const Routes extends readonly Route[]>(options: AppOptions<Routes>): App<Routes> {
  return new App(options);
}
