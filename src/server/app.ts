import type { Connections } from '../authentication/connections.js';
import { type ChannelLayer, type ChannelMessage, checkApplicationGroup } from '../channel-layer/channel-layer.js';
import type { Class } from '../metadata.js';
import type { ObserverNameOf } from '../observers/rechecker.js';
import { describeDatabase } from '../orm/database-facts.js';
import type { OrmRoot } from '../orm/orm-root.js';
import type { HandshakeRequest, Scope } from '../scope/scope.js';
import type { Settings } from '../settings.js';
import type { PlainRequest, PlainResponse, RequestClient, WatchedHandshake } from './app-explorer.js';
import type {
  AcceptedConnection,
  AppOptions,
  AttachOptions,
  ListenAddress,
  ListenOptions,
  UpgradableServer,
} from './app-options.js';
import { buildServices, type Services } from './composition.js';
import { Connection } from './connection.js';
import type { ApplicationDescription } from './description.js';
import { Health, type HealthRequest, type HealthResponse, type Readiness } from './health.js';
import { HttpServer, urlOf } from './http-server.js';
import { onProcessSignals, type ShutdownOptions } from './process-signals.js';
import type { Route } from './routes.js';
import { Shutdown } from './shutdown.js';
import type { Transport } from './transport.js';
import { WebSocketAcceptor } from './web-socket-transport.js';

/** Carries types only; it never has a value. */
export declare const appTypes: unique symbol;

/** A running application: it accepts sockets, and closes them when it ends. */
export class App<Routes extends readonly Route[] = readonly Route[]> {
  declare readonly [appTypes]: Routes;
  /** The result of `MikroORM.init`, for tools that inspect an application. */
  readonly orm: OrmRoot;
  readonly #services: Services;
  readonly #httpServer: HttpServer;
  readonly #shutdown: Shutdown;
  readonly #health: Health;
  /** The names of the databases in the log. */
  readonly #databases: readonly string[];

  constructor(options: AppOptions<Routes>) {
    const services = buildServices(options);
    const { handshake, sockets, errors, settings, layer, pools, clock, deadlines, logger, joining } = services;
    const acceptor = new WebSocketAcceptor(settings, logger);
    const { limits } = settings;
    this.orm = options.orm;
    this.#services = services;
    this.#httpServer = new HttpServer(this, handshake, acceptor, sockets, errors, limits, clock, logger);
    this.#shutdown = new Shutdown(services, this.#httpServer);
    const orms = [options.orm, ...(options.otherOrms ?? [])];
    this.#databases = orms.map(describeDatabase);
    const isEnding = (): boolean => this.#shutdown.isEnding;
    const isBehind = (): boolean => services.feed.lag > settings.changeLog.lagTimeLimit;
    this.#health = new Health(
      orms,
      pools,
      layer,
      clock,
      deadlines,
      logger,
      joining,
      settings.poolTimeLimit,
      isBehind,
      isEnding,
    );
  }

  /** All settings, with defaults for those that were left out. */
  get settings(): Settings {
    return this.#services.settings;
  }

  /** The given channel layer, or the default, for tools that inspect an application. */
  get channelLayer(): ChannelLayer {
    return this.#services.layer;
  }

  /**
   * Runs the start hooks, once. `listen` and `attach` call it.
   *
   * @throws ServerClosing after the application was closed; the error of a start hook
   */
  async start(): Promise<void> {
    this.#checkOpen();
    await this.#services.feed.start();
    await this.#services.joining.begin();
    await this.#services.lifecycle.start();
    this.#checkOpen();
  }

  /**
   * Serves sockets, and nothing else, on a port of its own. Resolves with its address.
   *
   * @throws ServerClosing if the application is closed before it listens
   */
  async listen(options: ListenOptions = {}): Promise<ListenAddress> {
    await this.start();
    const address = await this.#httpServer.listen(options);
    await this.#served(`listening on ${urlOf(address, options.host)}`);
    return address;
  }

  /**
   * Serves sockets on an HTTP server of the caller, who keeps its requests, its port and its closing. Sockets that send no request are
   * limited as with `listen`, unless `limitSockets` is false.
   */
  async attach(server: UpgradableServer, options: AttachOptions = {}): Promise<void> {
    await this.start();
    this.#httpServer.attach(server, options);
    await this.#served('attached to an HTTP server');
  }

  /** @param where begins the log line that names what is served and the databases */
  async #served(where: string): Promise<void> {
    const { handshake, lifecycle, logger, inspector } = this.#services;
    const explorer = inspector ? `, explorer ${inspector.path}` : '';
    logger.info(`${where} (paths ${handshake.paths.join(', ')}), database ${this.#databases.join(', ')}${explorer}`);
    await lifecycle.ready();
  }

  /**
   * Accepts a connection over any transport; the testing kit has one without a network.
   *
   * @param connect called when the handshake is granted; `scope.subprotocol` is the negotiated one
   * @param prepare sets facts of the scope after the middleware has run
   * @throws ApiError if the handshake is refused
   */
  accept(
    request: HandshakeRequest,
    connect: (scope: Scope) => Transport,
    prepare?: (scope: Scope) => void,
  ): Promise<AcceptedConnection> {
    const watched = this.#services.inspector?.watch(request);
    return watched ? this.#openWatched(watched, connect, prepare) : this.#open(request, connect, prepare);
  }

  async #openWatched(
    watched: WatchedHandshake,
    connect: (scope: Scope) => Transport,
    prepare: ((scope: Scope) => void) | undefined,
  ): Promise<AcceptedConnection> {
    const { request } = watched;
    try {
      return await this.#open(request, connect, prepare, watched);
    } catch (thrown) {
      watched.refused(this.#services.handshake.translate(thrown, request));
      throw thrown;
    }
  }

  async #open(
    request: HandshakeRequest,
    connect: (scope: Scope) => Transport,
    prepare: ((scope: Scope) => void) | undefined,
    watched?: WatchedHandshake,
  ): Promise<AcceptedConnection> {
    this.#checkOpen();
    const { handshake, registry, tidying } = this.#services;
    const admitted = handshake.admit(request, prepare);
    // If no code of the application has to be called, the connection opens within the event that brought its request.
    const admission = admitted instanceof Promise ? await admitted : admitted;
    try {
      this.#checkOpen();
      const connection = new Connection(admission, connect(admission.scope), this.#services, this.#ended, watched);
      registry.add(connection, admission.pending);
      connection.open();
      tidying?.opened();
      return connection;
    } catch (thrown) {
      await handshake.refuse(admission);
      throw handshake.translate(thrown, request);
    }
  }

  /**
   * Sends a message of JSON values to the `@OnMessage` methods of all consumers in a group, in every process.
   *
   * ```ts
   * await app.sendToGroup('lobby', { type: 'shout', text: 'hi' });
   * ```
   *
   * A provider does this with an injected `ChannelLayer`.
   *
   * @throws ChannelLayerUnavailable, MessageTooLarge
   */
  sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkApplicationGroup(group);
    return this.#services.layer.sendToGroup(group, message);
  }

  /** Sends a message to the `@OnMessage` methods of one consumer, by its `channelName`. The message is dropped if the consumer is gone. */
  sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this.#services.layer.send(channel, message);
  }

  /** Closes every connection of a user, in every process, like `Connections.disconnectUser`. */
  disconnectUser(...parameters: Parameters<Connections['disconnectUser']>): Promise<void> {
    return this.#services.connections.disconnectUser(...parameters);
  }

  /** Closes every connection of a session, in every process, like `Connections.disconnectSession`. */
  disconnectSession(...parameters: Parameters<Connections['disconnectSession']>): Promise<void> {
    return this.#services.connections.disconnectSession(...parameters);
  }

  /**
   * Rechecks the subscriptions in these groups of an observer, in every process; refused ones end. A provider does this with an injected
   * `Rechecker`.
   *
   * ```ts
   * app.recheck(RoomConsumer, 'onMessage', ['room-1']);
   * ```
   *
   * @throws ConfigurationError for an observer that no routed consumer has
   */
  recheck<Consumer extends object>(
    consumer: Class<Consumer>,
    observer: ObserverNameOf<Consumer>,
    groups: readonly string[],
  ): void {
    this.#services.rechecker.recheck(consumer, observer, groups);
  }

  /** Resolves when everything that is committed by now has been delivered to the connections of this process. */
  async idle(): Promise<void> {
    await this.#services.feed.idle();
    await Promise.all([...this.#services.registry.connections.values()].map((connection) => connection.idle()));
  }

  /**
   * Ends at once: it accepts no new sockets, answers requests with 503, closes sockets with 1001, cuts them after `closeTimeout`, and runs
   * the stop hooks. Attached servers stay open.
   */
  close(): Promise<void> {
    return this.#shutdown.close();
  }

  /**
   * Empties the process, then closes. The process is no longer ready and accepts no new sockets. After `drain.delay` each client in its
   * turn gets the drain frame, has its requests answered, and is closed with 1012. `close()` ends the drain early.
   */
  drain(): Promise<void> {
    return this.#shutdown.drain();
  }

  /**
   * Ends this process on SIGTERM (`drain`) and SIGINT (`close`), at the latest 2 s after `drain.timeLimit`; a second signal ends it at
   * once. An unhandled rejection is logged; then the process drains and exits with 1. Returns a function that removes the listeners.
   *
   * @throws ConfigurationError for an `exitWithin` that is not above `drain.timeLimit`
   */
  closeOnSignals(options: ShutdownOptions = {}): () => void {
    const { clock, logger, settings } = this.#services;
    const drainTimeLimit = settings.drain.timeLimit;
    const ways = { drain: () => this.drain(), close: () => this.close() };
    return onProcessSignals({ ...ways, clock, logger, drainTimeLimit }, options);
  }

  /**
   * The API of the application as plain JSON data: paths, streams, actions with their kwargs and replies, observers, serializers and
   * permissions. Does not use the database.
   */
  describe(): ApplicationDescription {
    return this.#services.describe();
  }

  /** Whether a load balancer should send clients to this process: its database and channel layer answer, and it is not ending. */
  readiness(): Promise<Readiness> {
    return this.#health.readiness();
  }

  /** Whether this process can still serve clients; false if only a restart helps. */
  liveness(): Promise<boolean> {
    return this.#health.liveness();
  }

  /**
   * Answers `/livez` and `/readyz` on an HTTP server that the application is attached to; `listen` does it by itself. Returns whether the
   * request was one of them.
   */
  answerHealth(request: HealthRequest, response: HealthResponse): boolean {
    return this.#health.answer(request, response);
  }

  /**
   * Answers the requests of `answerHealth`, and the pages of the explorer if there is one; `listen` does it by itself. Returns whether the
   * request was the framework's.
   *
   * ```ts
   * const server = createServer((request, response) => app.answer(request, response) || pages(request, response));
   * await app.attach(server);
   * ```
   */
  answer(request: PlainRequest, response: PlainResponse): boolean {
    return this.#health.answer(request, response) || (this.#services.inspector?.answer(request, response) ?? false);
  }

  /**
   * The client of a request to an HTTP server that the application is attached to, and the requested host, by the `X-Forwarded-For`,
   * `-Host` and `-Proto` of the setting `trustedProxies`.
   *
   * ```ts
   * const { address, protocol } = app.clientOf(request);
   * ```
   */
  clientOf(request: PlainRequest): RequestClient {
    return this.#services.sockets.clientOf(request);
  }

  readonly #ended = (connection: Connection): void => {
    this.#services.registry.remove(connection);
    this.#services.heartbeat.closed();
    connection.slot.leave();
  };

  #checkOpen(): void {
    if (this.#shutdown.isEnding) throw this.#shutdown.refusal;
  }
}

/**
 * Creates an application. It checks everything that decorators and options declare, before the first socket.
 *
 * ```ts
 * const app = createApp({ orm, routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer }))] });
 * export type Api = AppApi<typeof app>;
 * await app.listen({ port: 8000 });
 * ```
 *
 * @throws ConfigurationError with class, member, reason and remedy
 */
export function createApp<const Routes extends readonly Route[]>(options: AppOptions<Routes>): App<Routes> {
  return new App(options);
}
