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

/** Options of `app.listen(options)`. With `path`, the application listens there and `port` and `host` are not used. */
export interface ListenOptions {
  /** Default 0: any free port. */
  readonly port?: number;
  /** Default all addresses. */
  readonly host?: string;
  /**
   * Listens on a Unix socket instead of a port: the path of its file, or the name of a pipe on Windows. A file that a killed
   * process has left is replaced.
   */
  readonly path?: string;
}

/** Options of `app.attach(server, options)`. */
export interface AttachOptions {
  /**
   * Whether sockets whose clients owe a request are limited, by address and together, as those of `listen` are, and wait
   * `limits.headersTime` for headers where the server has Node's default. Default true.
   */
  readonly limitSockets?: boolean;
}

/** What `app.accept` gives: a connection over a transport of the caller's. */
export interface AcceptedConnection {
  /** Resolves when nothing of the connection is left. */
  readonly closed: Promise<void>;
}

/** Where an application listens; on a Unix socket, `address` is its path, `family` is `unix` and `port` is 0. */
export interface ListenAddress {
  /** An IP address, or the path of a Unix socket. */
  readonly address: string;
  /** `IPv4`, `IPv6` or `unix`. */
  readonly family: string;
  /** The one that was chosen where `port` was 0. */
  readonly port: number;
}

/**
 * As much of Node's `http.Server` and `https.Server` as is needed. Not theirs, so that a browser project can import the
 * type of an application without the types of Node.
 */
export interface UpgradableServer {
  on(event: 'upgrade', listener: UpgradeListener): unknown;
  off(event: 'upgrade', listener: UpgradeListener): unknown;
  listenerCount(event: 'upgrade'): number;
}

/** The type of a method, because the parameters of methods may be narrower: Node's own here. */
type UpgradeListener = { upgrade(request: object, socket: object, head: object): void }['upgrade'];

/** A provider that takes part in the life of the application. Every hook is optional and awaited. */
export interface ApplicationHooks {
  /** Before the first socket is accepted. What it throws keeps the application from starting. */
  start?(): Promise<void> | void;
  /** Once sockets are accepted. */
  ready?(): Promise<void> | void;
  /** After the last connection ended, in reverse order; other processes send events of what it commits. What it throws is logged. */
  stop?(): Promise<void> | void;
}

/** Options of `createApp`. `orm` and `routes` are required. */
export interface AppOptions<Routes extends readonly Route[]> {
  /** What `MikroORM.init` gave. Closing it is the application's business. */
  readonly orm: OrmRoot;
  /**
   * Further databases, each with a `contextName` of its own. Consumers and observers of their entities work as others do;
   * their entity managers are injected by tokens of the application.
   */
  readonly otherOrms?: readonly OrmRoot[];
  /**
   * Pattern -> consumer, demultiplexer or router, made by `path`. The first pattern that fits is taken; no pattern that fits is a
   * 404.
   *
   * ```ts
   * routes: [path('/ws/chat/', demultiplexer({ rooms: RoomConsumer, messages: MessageConsumer }))]
   * ```
   */
  readonly routes: Routes;
  /**
   * Where consumers, permissions and serializers come from. `EntityManager` (the core's or the driver's), `Logger`, `Clock`, `Counters` and `ChannelLayer` are
   * registered in it unless they are already. Default: a new child of tsyringe's global container.
   */
  readonly container?: DependencyContainer;
  /** Providers that add to the scope of each connection, in this order; those of its route come after them. */
  readonly middleware?: readonly ScopeMiddlewareClass[];
  /** For consumers without `@Permissions`. Default: none is asked. */
  readonly permissions?: readonly PermissionExpression[];
  /** Providers that know errors of other libraries. */
  readonly errors?: readonly ErrorMapperClass[];
  /** Providers that take part in start and end, in this order; `stop` in reverse order. Default none. */
  readonly hooks?: readonly ConcreteClass<ApplicationHooks>[];
  /**
   * Default: `NotifyChannelLayer`, which reaches all processes on the same PostgreSQL server; on PGlite, and where
   * `changeLog.listen` is false, `InMemoryChannelLayer`, which reaches this process.
   */
  readonly channelLayer?: ChannelLayer;
  /** What closes connections, or has them checked again: `closeOn(User, …)`, `recheckOn(roleChanged, …)`. */
  readonly connections?: readonly ConnectionRule[];
  /** Loads users anew, for connections that are checked again. */
  readonly users?: ConcreteClass<UserStore>;
  /** Where the tickets of `Tickets` wait. Default: a table beside the change log; on PGlite the memory of this process. */
  readonly ticketStore?: ConcreteClass<TicketStore>;
  /** The debug page: `explorer()` of `signalbox/explorer`. Default: none. */
  readonly explorer?: AppExplorer;
  /** What differs from the defaults; an unknown name is a ConfigurationError. See `docs/settings.md`. */
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
 * What a compiler would have refused, had there been one.
 *
 * @throws ConfigurationError where a database or the routes are missing, or are something else, and for unknown names
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
  if (unknown !== undefined) throw fault(unknown, 'is no option.', `There are: ${Object.keys(known).join(', ')}.`);
  if (!Array.isArray(otherOrms)) throw fault('otherOrms', 'is no list.', 'Give a list of MikroORM objects.');
  checkExplorer(explorer);
  if (!Array.isArray(permissions)) throw fault('permissions', 'are no list.', 'Give a list of permission classes.');
  checkPermissions('createApp', permissions);
  for (const [index, other] of otherOrms.entries()) checkOrm(`otherOrms[${index}]`, other);
  if (!Array.isArray(routes)) {
    const reason = routes === undefined ? 'are missing.' : 'are no list.';
    throw fault('routes', reason, "Give at least one: routes: [path('/ws/', YourConsumer)].");
  }
}

function checkExplorer(explorer: unknown): void {
  const isOne = typeof explorer === 'object' && explorer !== null && 'begin' in explorer;
  if (explorer === undefined || isOne) return;
  throw fault('explorer', 'is no explorer.', "Call it: explorer: explorer(), from 'signalbox/explorer'.");
}

function checkOrm(member: string, orm: unknown): void {
  const remedy = 'Give what MikroORM.init resolves with: createApp({ orm: await MikroORM.init({ … }), … }).';
  if (!isOrmRoot(orm)) throw fault(member, reasonOf(orm), remedy);
  checkOrmIsOurs(member, orm);
}

function reasonOf(orm: unknown): string {
  if (orm === undefined || orm === null) return 'is missing.';
  return orm instanceof Promise ? 'is a promise.' : 'is no MikroORM object.';
}
