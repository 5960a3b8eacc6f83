import type { DependencyContainer } from 'tsyringe';
import type { UserStore } from '../authentication/authentication.js';
import type { TicketStore } from '../authentication/tickets.js';
import type { ChannelLayer } from '../channel-layer/channel-layer.js';
import { faultsOf } from '../configuration-faults.js';
import type { ErrorMapperClass } from '../dispatch/error-mapping.js';
import type { ConcreteClass } from '../metadata.js';
import { checkOrmIsOurs, isOrmRoot, type OrmRoot } from '../orm/orm-root.js';
import { checkPermissions, type PermissionExpression } from '../permissions/permission.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { GivenSettings } from '../settings.js';
import type { AppExplorer } from './app-explorer.js';
import type { ConnectionRule } from './connection-rules.js';
import type { Route } from './routes.js';

const fault = faultsOf('createApp');

/** Options of `app.listen(options)`. With `path`, `port` and `host` are not used. */
export interface ListenOptions {
  /** The port. Default: 0, which means any free port. */
  readonly port?: number;
  /** The address. Default: all addresses. */
  readonly host?: string;
  /**
   * The path of a Unix socket, or the name of a pipe on Windows, instead of a port. A socket file that a killed process has left is
   * replaced.
   */
  readonly path?: string;
}

/** Options of `app.attach(server, options)`. */
export interface AttachOptions {
  /**
   * Whether sockets that have not sent a complete request are limited by address and in total, like those of `listen`, and have
   * `limits.headersTime` to send headers if the server has Node's default. Default: true.
   */
  readonly limitSockets?: boolean;
}

/** The result of `app.accept`: a connection over the caller's transport. */
export interface AcceptedConnection {
  /** Resolves when the connection has ended and released everything. */
  readonly closed: Promise<void>;
}

/** The address of a listening application. For a Unix socket, `address` is its path, `family` is `unix` and `port` is 0. */
export interface ListenAddress {
  /** An IP address, or the path of a Unix socket. */
  readonly address: string;
  /** `IPv4`, `IPv6` or `unix`. */
  readonly family: string;
  /** The port; if `port` was 0, the chosen one. */
  readonly port: number;
}

/**
 * The part of Node's `http.Server` and `https.Server` that is needed. It is no Node type, so that a browser project can import the type of
 * an application without the types of Node.
 */
export interface UpgradableServer {
  /** Adds a listener for upgrades. */
  on(event: 'upgrade', listener: UpgradeListener): unknown;
  /** Removes a listener for upgrades. */
  off(event: 'upgrade', listener: UpgradeListener): unknown;
  /** The number of listeners for upgrades. */
  listenerCount(event: 'upgrade'): number;
}

/** The type of a method, because the parameters of methods may be narrower, as Node's are here. */
type UpgradeListener = { upgrade(request: object, socket: object, head: object): void }['upgrade'];

/** A provider with hooks of the application's life. Every hook is optional and awaited. */
export interface ApplicationHooks {
  /** Runs before the first socket is accepted. If it throws, the application does not start. */
  start?(): Promise<void> | void;
  /** Runs when sockets are accepted. */
  ready?(): Promise<void> | void;
  /**
   * Runs after the last connection has ended, in reverse order. Other processes send the events of what it commits. Its errors are logged.
   */
  stop?(): Promise<void> | void;
}

/** Options of `createApp`. `orm` and `routes` are required. */
export interface AppOptions<Routes extends readonly Route[]> {
  /** The result of `MikroORM.init`. The application has to close it. */
  readonly orm: OrmRoot;
  /**
   * Further databases, each with its own `contextName`. Consumers and observers of their entities work like others; their entity managers
   * are injected by tokens of the application.
   */
  readonly otherOrms?: readonly OrmRoot[];
  /**
   * The routes, made by `path`: each leads from a pattern to a consumer, demultiplexer or router. The first matching pattern is taken;
   * without a match the upgrade is refused with 404.
   *
   * ```ts
   * routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer }))]
   * ```
   */
  readonly routes: Routes;
  /**
   * The container of consumers, permissions and serializers. `EntityManager` (the core's or the driver's), `Logger`, `Clock`, `Counters`
   * and `ChannelLayer` are registered in it unless they already are. Default: a new child of tsyringe's global container.
   */
  readonly container?: DependencyContainer;
  /** Scope middleware for every connection, in this order, before that of its route. */
  readonly middleware?: readonly ScopeMiddlewareClass[];
  /** Permissions of consumers without `@Permissions`. Default: none. */
  readonly permissions?: readonly PermissionExpression[];
  /** Providers that map errors of other libraries. Default: none. */
  readonly errors?: readonly ErrorMapperClass[];
  /** Providers with hooks for start and end, in this order; `stop` in reverse order. Default: none. */
  readonly hooks?: readonly ConcreteClass<ApplicationHooks>[];
  /**
   * Default: `NotifyChannelLayer`, which reaches all processes on the same PostgreSQL server; on PGlite, and if `changeLog.listen` is
   * false, `InMemoryChannelLayer`, which reaches only this process.
   */
  readonly channelLayer?: ChannelLayer;
  /** Rules that close or recheck connections: `closeOn(User, …)`, `recheckOn(roleChanged, …)`. Default: none. */
  readonly connections?: readonly ConnectionRule[];
  /** Loads users again when their connections are rechecked. Default: none; then nothing can be rechecked. */
  readonly users?: ConcreteClass<UserStore>;
  /** The store of `Tickets`. Default: a table beside the change log; on PGlite the memory of this process. */
  readonly ticketStore?: ConcreteClass<TicketStore>;
  /** The debug page: `explorer()` of `signalbox/explorer`. Default: none. */
  readonly explorer?: AppExplorer;
  /** Settings that differ from the defaults; an unknown name is a ConfigurationError. See `docs/settings.md`. */
  readonly settings?: GivenSettings;
}

const known: Readonly<Record<keyof AppOptions<readonly Route[]>, true>> = {
  orm: true,
  otherOrms: true,
  routes: true,
  container: true,
  middleware: true,
  permissions: true,
  errors: true,
  hooks: true,
  channelLayer: true,
  connections: true,
  users: true,
  ticketStore: true,
  explorer: true,
  settings: true,
};

/**
 * Checks options that the compiler would check in TypeScript.
 *
 * @throws ConfigurationError if a database or the routes are missing or have a wrong type, and for unknown names
 */
export function checkOptions(options: unknown): void {
  const {
    orm,
    otherOrms = [],
    routes,
    explorer,
    permissions = [],
  } = (options ?? {}) as Readonly<Record<string, unknown>>;
  checkOrm('orm', orm);
  const unknown = Object.keys(options as object).find((name) => !Object.hasOwn(known, name));
  if (unknown !== undefined) throw fault(unknown, 'is not an option.', `There are: ${Object.keys(known).join(', ')}.`);
  if (!Array.isArray(otherOrms)) throw fault('otherOrms', 'is not a list.', 'Give a list of MikroORM objects.');
  checkExplorer(explorer);
  if (!Array.isArray(permissions)) throw fault('permissions', 'are not a list.', 'Give a list of permission classes.');
  checkPermissions('createApp', permissions);
  for (const [index, other] of otherOrms.entries()) checkOrm(`otherOrms[${index}]`, other);
  if (!Array.isArray(routes)) {
    const reason = routes === undefined ? 'are missing.' : 'are not a list.';
    throw fault('routes', reason, "Give at least one: routes: [path('/ws/', YourConsumer)].");
  }
}

function checkExplorer(explorer: unknown): void {
  const isOne = typeof explorer === 'object' && explorer !== null && 'begin' in explorer;
  if (explorer === undefined || isOne) return;
  throw fault('explorer', 'is not an explorer.', "Call it: explorer: explorer(), from 'signalbox/explorer'.");
}

function checkOrm(member: string, orm: unknown): void {
  const remedy = 'Give the result of MikroORM.init: createApp({ orm: await MikroORM.init({ … }), … }).';
  if (!isOrmRoot(orm)) throw fault(member, reasonOf(orm), remedy);
  checkOrmIsOurs(member, orm);
}

function reasonOf(orm: unknown): string {
  if (orm === undefined || orm === null) return 'is missing.';
  return orm instanceof Promise ? 'is a promise.' : 'is not a MikroORM object.';
}
