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

/** Carries types only; no value is ever there. */
export declare const appTypes: unique symbol;

/** A running application: accepts sockets, closes them, and ends. */
export class App<Routes extends readonly Route[] = readonly Route[]> {
  declare readonly [appTypes]: Routes;
  /** What `MikroORM.init` gave: for tools that look at an application. */
  readonly orm: OrmRoot;
  readonly #services: Services;
  readonly #httpServer: HttpServer;
  readonly #shutdown: Shutdown;
  readonly #health: Health;
  /** For the log. */
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

  /** Every setting, those that were left out with their defaults. */
  get settings(): Settings {
    return this.#services.settings;
  }

  /** The one that was given, or the default: for tools that look at an application. */
  get channelLayer(): ChannelLayer {
    return this.#services.layer;
  }

  /**
   * Runs the start hooks, once. `listen` and `attach` do it by themselves.
   *
   * @throws ServerClosing once the application is closed; what a start hook throws
   */
  async start(): Promise<void> {
    this.#checkOpen();
    await this.#services.feed.start();
    await this.#services.joining.begin();
    await this.#services.lifecycle.start();
    this.#checkOpen();
  }

  /** Serves sockets, and nothing else, on a port of its own. Resolves with the address that it listens on. */
  async listen(options: ListenOptions = {}): Promise<ListenAddress> {
    await this.start();
    const address = await this.#httpServer.listen(options);
    await this.#served(`listening on ${urlOf(address, options.host)}`);
    return address;
  }

  /**
   * Serves sockets on an HTTP server that stays the caller's: its requests, its port and its closing. Sockets that ask for nothing are
   * limited there as by `listen`, unless `limitSockets` is false.
   */
  async attach(server: UpgradableServer, options: AttachOptions = {}): Promise<void> {
    await this.start();
    this.#httpServer.attach(server, options);
    await this.#served('attached to an HTTP server');
  }

  /** @param where begins the line of the log that says what is served, and with which database */
  async #served(where: string): Promise<void> {
    const { handshake, lifecycle, logger, inspector } = this.#services;
    const explorer = inspector ? `, explorer ${inspector.path}` : '';
    logger.info(`${where} (paths ${handshake.paths.join(', ')}), database ${this.#databases.join(', ')}${explorer}`);
    await lifecycle.ready();
  }

  /**
   * Admits a connection over any transport; the testing kit has one without a network.
   *
   * @param connect called once the handshake is granted; the scope says which subprotocol was agreed on
   * @param prepare sets facts of the scope after the middleware ran
   * @throws ApiError that refuses the handshake
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
    // Where no code of the application is asked, the connection opens within the event that brought its request.
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
   * A provider does the same with an injected `ChannelLayer`.
   *
   * @throws ChannelLayerUnavailable, MessageTooLarge
   */
  sendToGroup(group: string, message: ChannelMessage): Promise<void> {
    checkApplicationGroup(group);
    return this.#services.layer.sendToGroup(group, message);
  }

  /** Sends a message to the `@OnMessage` methods of one consumer, by its `channelName`. Dropped where it is gone. */
  sendToChannel(channel: string, message: ChannelMessage): Promise<void> {
    return this.#services.layer.send(channel, message);
  }

  /** Closes every connection of a user, in every process, as injected `Connections` do. */
  disconnectUser(...order: Parameters<Connections['disconnectUser']>): Promise<void> {
    return this.#services.connections.disconnectUser(...order);
  }

  /** As the method above, for the connections of one session. */
  disconnectSession(...order: Parameters<Connections['disconnectSession']>): Promise<void> {
    return this.#services.connections.disconnectSession(...order);
  }

  /**
   * Asks the subscriptions in these groups of an observer again, in every process; those that are refused end. A provider does
   * the same with an injected `Rechecker`.
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

  /** Resolves when all that was committed until now has been delivered to the connections of this process. */
  async idle(): Promise<void> {
    await this.#services.feed.idle();
    await Promise.all([...this.#services.registry.connections.values()].map((connection) => connection.idle()));
  }

  /**
   * Ends at once: no new sockets, requests are answered 503, sockets are closed with 1001 and cut after `closeTimeout`, hooks run.
   * What was attached to stays open.
   */
  close(): Promise<void> {
    return this.#shutdown.close();
  }

  /**
   * Empties the process, then closes: it is not ready any more and takes no new sockets; after `drain.delay` each client in its
   * turn gets the drain frame, has its requests answered, and is closed with 1012. `close()` cuts it short.
   */
  drain(): Promise<void> {
    return this.#shutdown.drain();
  }

  /**
   * Ends this process on SIGTERM (`drain`) and SIGINT (`close`), at the latest 2 s after `drain.timeLimit`; a second signal ends
   * it at once. A rejected promise that no code waits for is logged, the process drains and exits with 1. Returns what takes the
   * listeners off again.
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
   * What the application offers to its clients, as plain JSON data: paths, streams, actions with their kwargs and replies,
   * observers, serializers and permissions. Asks nothing of the database.
   */
  describe(): ApplicationDescription {
    return this.#services.describe();
  }

  /** Whether this process should be sent clients: its database and channel layer answer, and it does not end. */
  readiness(): Promise<Readiness> {
    return this.#health.readiness();
  }

  /** Whether this process can still serve clients; false where nothing but a restart helps. */
  liveness(): Promise<boolean> {
    return this.#health.liveness();
  }

  /**
   * Answers `/livez` and `/readyz` on an HTTP server that the application is attached to; `listen` does it by itself.
   * Returns whether the request was one of them.
   */
  answerHealth(request: HealthRequest, response: HealthResponse): boolean {
    return this.#health.answer(request, response);
  }

  /**
   * Answers what `answerHealth` answers, and the pages of the explorer where there is one; `listen` does it by itself.
   * Returns whether the request was the framework's.
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
   * The client of a request to an HTTP server that the application is attached to, and the host that it asked: what the setting
   * `trustedProxies` lets count of `X-Forwarded-For`, `-Host` and `-Proto`.
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
