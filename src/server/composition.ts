import {
  type DependencyContainer,
  container as globalContainer,
  type InjectionToken,
  instanceCachingFactory,
} from 'tsyringe';
import { ActivityLog } from '../activity-log.js';
import { type ConnectionCommand, ConnectionRegistry } from '../authentication/connection-registry.js';
import { Connections } from '../authentication/connections.js';
import { InMemoryTicketStore, Tickets } from '../authentication/tickets.js';
import { ChannelLayer } from '../channel-layer/channel-layer.js';
import { InMemoryChannelLayer } from '../channel-layer/in-memory-channel-layer.js';
import { Clock, Deadlines, GuardedClock } from '../clock.js';
import { ApiConsumer } from '../consumers/api-consumer.js';
import type { CompiledConsumer } from '../consumers/compiled-consumer.js';
import { checkModelConsumer } from '../consumers/model-check.js';
import { settingsOf } from '../consumers/model-consumer.js';
import { markClasses, otherSignalboxes, ownFolder, wayToOneCopy } from '../copies.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { type ErrorMapper, ErrorTranslator, safeInstanceof } from '../dispatch/error-mapping.js';
import { RequestLog } from '../dispatch/request-log.js';
import { ChannelLayerUnavailable, ConfigurationError, HandshakeTimedOut } from '../errors.js';
import { isStandardSchema, type KwargsSchema } from '../kwargs/kwargs-checker.js';
import { checkTransformer } from '../kwargs/transformer-copies.js';
import { Announcer } from '../log/announcer.js';
import { NotifyChannelLayer } from '../log/notify-channel-layer.js';
import { Logger } from '../logger.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { EventPublisher } from '../observers/event-publisher.js';
import { type Observer, observedBy } from '../observers/observer.js';
import { Rechecker } from '../observers/rechecker.js';
import { type HeardSignal, SignalReceivers } from '../observers/signal-receivers.js';
import { SubscriptionIndex } from '../observers/subscriptions.js';
import { writeArrays } from '../orm/array-literals.js';
import { ConnectionPool } from '../orm/connection-pool.js';
import { isEmbedded, usesDatabase } from '../orm/database-facts.js';
import { takeNullForMissing } from '../orm/missing-in-json.js';
import { ModelQueries } from '../orm/model-queries.js';
import { keepOneToOneKeys } from '../orm/one-to-one-keys.js';
import { toApiError } from '../orm/orm-errors.js';
import { entityManagerTokens } from '../orm/orm-root.js';
import { UnitOfWork } from '../orm/unit-of-work.js';
import { warnOfUnreportedWrites } from '../orm/unreported-writes.js';
import { Paginator } from '../paginators/paginator.js';
import { ActionContext } from '../scope/action-context.js';
import {
  buildSingletons,
  checkConsumersAreNotShared,
  checkContainer,
  checkProviders,
  checkShowsEvents,
} from '../scope/provider-checks.js';
import { Scope } from '../scope/scope.js';
import { ScopeDisposer } from '../scope/scope-disposal.js';
import type { ScopeMiddlewareClass } from '../scope/scope-middleware.js';
import type { ScopeUser } from '../scope/scope-types.js';
import { checkRights, rightsIn } from '../serializers/field-rights.js';
import {
  checkModelSerializer,
  declaredBy,
  inputOf,
  shownProperties,
  tellingProperties,
} from '../serializers/model-serializer.js';
import { isSerializerClass, Serializer, type SerializerClass } from '../serializers/serializer.js';
import { completeSettings, isTestRun, type Limits, type Settings } from '../settings.js';
import { CloseCode } from '../status.js';
import { Counters, GuardedCounters, GuardedTracer, Tracer } from '../telemetry.js';
import { TerminalLogger } from '../terminal-logger.js';
import type { AppInspector, PlainRequest, RequestClient } from './app-explorer.js';
import { type AppOptions, checkOptions } from './app-options.js';
import { Backpressure } from './backpressure.js';
import { ChangeFeed, type Gap } from './change-feed.js';
import type { Connection, ConnectionServices } from './connection.js';
import { type ConnectionRule, ConnectionRules, checkConnectionRules, modelOf, signalOf } from './connection-rules.js';
import { describeRoutes } from './describe-routes.js';
import type { ApplicationDescription } from './description.js';
import { Handshake } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import { HttpSockets, roomFor, systemDescriptors } from './http-sockets.js';
import { IdleTidying } from './idle-tidying.js';
import { InboundFlow } from './inbound-frames.js';
import { ConnectionLimiter } from './rate-limit.js';
import { Router } from './router.js';
import type { Route } from './routes.js';
import { Joining, Lifecycle } from './startup.js';
import { TrustedProxies } from './trusted-proxies.js';

type Options = AppOptions<readonly Route[]>;

markClasses([
  ...[ApiConsumer, Serializer, Paginator, Scope, ActionContext],
  ...[Announcer, ChannelLayer, Clock, Connections, Counters, Logger, Rechecker, Tickets, Tracer],
]);

/** The services of a running application, made once. */
export interface Services extends ConnectionServices {
  readonly feed: ChangeFeed;
  readonly rechecker: Rechecker;
  /** The connection pool of each database. */
  readonly pools: readonly ConnectionPool[];
  readonly registry: ConnectionRegistry<Connection>;
  readonly connections: Connections;
  describe(): ApplicationDescription;
  /** Undefined without an explorer, or if it is not shown in production. */
  readonly inspector: AppInspector | undefined;
  readonly handshake: Handshake;
  readonly sockets: HttpSockets;
  readonly lifecycle: Lifecycle;
  readonly joining: Joining;
  readonly tidying: IdleTidying | undefined;
  /** In development, stops watching for writes that no observer receives. */
  readonly stopListening: () => void;
}

/** @throws ConfigurationError for everything that could not work */
export function buildServices(options: Options): Services {
  checkOptions(options);
  const { orm, otherOrms = [], permissions = [], middleware = [], connections: rules = [] } = options;
  const settings = completeSettings(options.settings);
  const unitOfWork = unitOfWorkOf(options, settings);
  const container = options.container ?? globalContainer.createChildContainer();
  checkContainer(container);
  const router = new Router(options.routes, { permissions, middleware }, settings);
  for (const each of [orm, ...otherOrms]) {
    writeArrays(each);
    keepOneToOneKeys(each);
    takeNullForMissing(each);
  }
  for (const token of entityManagerTokens(orm)) provide(container, token, () => orm.em);

  // Logger, clock, counters and tracer
  const logger = provide(container, Logger, () => loggerFor(settings));
  const clock = new GuardedClock(
    provide(container, Clock, () => new Clock()),
    (error) => logger.error('The clock failed.', { error }),
  );
  if (otherSignalboxes().length > 0) {
    const copies = [ownFolder, ...otherSignalboxes()];
    logger.warn('Signalbox is loaded more than once.', { copies, remedy: wayToOneCopy('signalbox') });
  }
  const activity = activityLogFor(settings, logger, clock);
  const deadlines = new Deadlines(clock);
  const counters = new GuardedCounters(
    provide(container, Counters, () => new Counters()),
    (error) => logger.error('The counters failed.', { error }),
  );
  const tracer = new GuardedTracer(
    provide(container, Tracer, () => new Tracer()),
    (error) => logger.error('The tracer failed.', { error }),
  );

  // Handshakes
  const proxies = new TrustedProxies(settings.trustedProxies);
  const descriptors = systemDescriptors();
  warnOfRoom(logger, settings.limits, descriptors.limit);
  const sockets = new HttpSockets(settings.limits, descriptors, proxies, clock, counters, logger);

  const describe = (): ApplicationDescription => describeRoutes(router.routes, unitOfWork);
  const clientOf = (request: PlainRequest): RequestClient => sockets.clientOf(request);
  const inspector = options.explorer?.begin({ settings, logger, describe, clientOf });

  // Connections, and the commits that affect them
  const layer = channelLayerOf(options, container, logger, settings);
  const findUser = userFinder(options, container, unitOfWork, deadlines, settings);
  const registry = new ConnectionRegistry<Connection>(
    (command, at) => feed.broadcast(command, at),
    clock,
    logger,
    counters,
    settings.ticketLifetime,
    findUser,
  );
  const rulesHearSignals = rules.some((rule) => signalOf(rule) !== undefined);
  layer.onGap(() => closeAfterGap(registry, logger, counters, rulesHearSignals));
  const connections = new Connections(registry, clock);
  container.registerInstance(Connections, connections);
  checkConnectionRules(rules, { hasUsers: options.users !== undefined, unitOfWork });

  checkModels(options, router, unitOfWork);

  // Changes: from a commit to the messages of its observers
  const observers = router.consumers.flatMap((consumer) => [...consumer.observers.values()]);
  const resolve = <T>(provider: ConcreteClass<T>): T => container.resolve(provider);
  const subscribed = provide(container, SubscriptionIndex, () => new SubscriptionIndex());
  const missed = (gap: Gap): void => closeThoseThatMissed(registry, logger, gap);
  const publisher = new EventPublisher(
    observers,
    subscribed,
    unitOfWork,
    logger,
    activity,
    inspector,
    resolve,
    settings.changeLog.retryTimeLimit,
    (reason, untold) => missed({ reason, concerns: (observer) => untold.has(observer), concernsUsers: false }),
  );
  const apply = (command: ConnectionCommand, at?: number): void => registry.apply(command, at);
  const connectionRules = rules.length > 0 ? new ConnectionRules(rules, apply, unitOfWork, logger) : undefined;
  const ruling = rules.flatMap((rule) => modelOf(rule) ?? []).map((model) => ({ model }));
  const revocations = observers.flatMap((observer) => observer.revocations);
  const observed = [...observers, ...revocations, ...ruling];
  const feed: ChangeFeed = new ChangeFeed(
    [orm, ...otherOrms],
    {
      all: observed,
      varying: [...observers.filter(({ needsBefore }) => needsBefore), ...revocations, ...ruling],
      shownOf: (entity) => hiddenPropertiesShown(observers, entity, unitOfWork),
      comparedOf: (entity) => [
        ...rules.flatMap((rule) => (isOf(entity, modelOf(rule)) ? (rule.options.changed ?? []) : [])),
        ...hiddenPropertiesThatTell(observers, entity, unitOfWork),
      ],
    },
    new SignalReceivers(heardSignals(observers, rules)),
    publisher,
    connectionRules,
    apply,
    layer,
    settings.changeLog,
    logger,
    tracer.isOn ? () => tracer.current() : undefined,
    missed,
    {
      isBehind: (lag) => counters.gauge('signalbox.log_lag', Math.round(lag)),
      leftOut: () => counters.increment('signalbox.log_unread_commits'),
      pruningFailed: () => counters.increment('signalbox.log_pruning_failures'),
    },
  );
  const rechecker = new Rechecker(observers, (recheck) => feed.recheck(recheck));

  // Providers, checked before the first socket
  provide(container, Announcer, () => new Announcer(unitOfWork));
  provide(container, Rechecker, () => rechecker);
  register(container, Tickets, () => {
    const store = options.ticketStore
      ? resolve(options.ticketStore)
      : (feed.tickets(clock) ?? new InMemoryTicketStore(clock, logger));
    return new Tickets(store, clock, settings.ticketLifetime, registry);
  });
  checkAndBuildProviders(container, options, router, unitOfWork);
  container.resolve(Tickets);
  const hooks = (options.hooks ?? []).map(resolve);
  const errors = new ErrorTranslator(mappersOf(options, container), logger);

  // Requests
  const log = new RequestLog(clock, counters, tracer, logger, settings, activity);
  const dispatcher = new Dispatcher(errors, log, clock, deadlines, logger, settings, unitOfWork);
  const disposer = new ScopeDisposer((work) => dispatcher.runHook(work), logger);
  const limiter = new ConnectionLimiter(settings.limits, clock, counters);
  const handshake = new Handshake(
    router,
    proxies,
    limiter,
    registry,
    container,
    unitOfWork,
    errors,
    disposer,
    deadlines,
    logger,
    settings,
  );

  const pools = [orm, ...otherOrms].map((each) => ConnectionPool.of(each));
  for (const pool of pools) pool.watch();
  const stopWarnings = settings.development ? warnOfUnreportedWrites(orm.em, observedBy(observed), logger) : undefined;
  return {
    settings,
    clock,
    deadlines,
    logger,
    activity,
    counters,
    layer,
    unitOfWork,
    errors,
    dispatcher,
    disposer,
    feed,
    subscribed,
    rechecker,
    pools,
    registry,
    connections,
    describe,
    inspector,
    handshake,
    sockets,
    backpressure: new Backpressure(settings.outbound, settings.closeTimeout, clock, counters, logger),
    inboundFlow: new InboundFlow(settings, clock, counters),
    heartbeat: new Heartbeat(settings.heartbeat, clock, counters, registry.connections),
    lifecycle: new Lifecycle(hooks, unitOfWork, logger, deadlines, settings.closeTimeout),
    tidying:
      settings.tidyAfterConnections === false
        ? undefined
        : new IdleTidying(settings.tidyAfterConnections, clock, logger),
    joining: new Joining(() => feed.join(), layer, deadlines, logger, settings.channelLayerTimeLimit),
    stopListening: () => stopWarnings?.(),
  };
}

function warnOfRoom(logger: Logger, limits: Limits, descriptors: number): void {
  const { connections } = limits;
  if (roomFor(limits, descriptors).connections >= connections) return;
  logger.warn('This process may open fewer files than its connections need.', {
    descriptors,
    connections,
    remedy: 'Let it open more (ulimit -n), or lower settings.limits.connections.',
  });
}

/** @throws ConfigurationError for a property that the observed entity does not have */
function checkReads({ consumer, member, model, reads }: Observer, unitOfWork: UnitOfWork): void {
  const properties = model && unitOfWork.of(model).propertiesOf(model);
  const unknown = reads.find((name) => !properties?.has(name));
  if (unknown === undefined) return;
  throw new ConfigurationError({
    class: consumer.name,
    member,
    reason: `reads "${unknown}", which is not a property of ${model?.name ?? 'a signal'}.`,
    remedy: 'Name properties of the observed entity that are hidden or lazy: { reads: [...] }.',
  });
}

function isOf(entity: Class, model: Class | undefined): boolean {
  return model !== undefined && (entity === model || entity.prototype instanceof model);
}

/** Hidden or lazy properties that serializers show, or that groups and bodies read. */
function hiddenPropertiesShown(observers: readonly Observer[], entity: Class, unitOfWork: UnitOfWork): string[] {
  return observers.flatMap(({ model, serializer, reads }) => {
    if (!isOf(entity, model)) return [];
    return [...reads, ...(serializer ? shownProperties(serializer, unitOfWork) : [])];
  });
}

function hiddenPropertiesThatTell(observers: readonly Observer[], entity: Class, unitOfWork: UnitOfWork): string[] {
  return observers.flatMap(({ model, serializer }) =>
    serializer && isOf(entity, model) ? tellingProperties(serializer, unitOfWork) : [],
  );
}

/** The signals, each under the id of an observer or rule that receives it, which is equal in every process. */
function heardSignals(observers: readonly Observer[], rules: readonly ConnectionRule[]): readonly HeardSignal[] {
  const ofObservers = observers.flatMap((observer) => {
    const all = [observer.signal, ...observer.revocations.map(({ signal }) => signal)];
    return all.flatMap((each) => (each ? { ...each, name: observer.id } : []));
  });
  const ofRules = rules.flatMap((rule, index) => {
    const signal = signalOf(rule);
    return signal ? { signal, atOnce: false, name: `rule ${index}` } : [];
  });
  return [...ofObservers, ...ofRules];
}

/**
 * Changes or connection commands may have been missed. It closes the connections whose subscriptions may have missed one, so that their
 * clients reconnect and read again; if users may be concerned, also all authenticated connections, so that they authenticate again.
 */
function closeThoseThatMissed(
  registry: ConnectionRegistry<Connection>,
  logger: Logger,
  { reason, concerns, concernsUsers }: Gap,
): void {
  const concerned = [...registry.connections.values()].filter(
    (connection) => connection.listensTo(concerns) || (concernsUsers && connection.scope.identity !== undefined),
  );
  logger.warn('Events or connection commands may have been missed: the connections concerned are closed.', {
    reason,
    connections: concerned.length,
  });
  for (const connection of concerned) connection.close(CloseCode.overloaded, 'Events may have been missed.');
}

/**
 * Messages may have been lost. It closes the connections that may have missed some, so that their clients reconnect and begin again.
 *
 * @param concernsAll whether a lost signal may have been meant to close any connection
 */
function closeAfterGap(
  registry: ConnectionRegistry<Connection>,
  logger: Logger,
  counters: Counters,
  concernsAll: boolean,
): void {
  counters.increment('signalbox.channel_layer_gaps');
  const all = [...registry.connections.values()];
  const concerned = concernsAll ? all : all.filter(({ mayMissMessages }) => mayMissMessages);
  logger.warn('Messages of the channel layer may have been lost: connections that may miss some are closed.', {
    connections: concerned.length,
  });
  for (const connection of concerned) connection.close(CloseCode.overloaded, 'Messages may have been missed.');
}

/** Registers a provider, unless the application has registered its own. */
function provide<T>(container: DependencyContainer, provided: Class<T>, make: () => T): T {
  return container.resolve(register(container, provided, make));
}

/** Like `provide`, but the provider is made on first use. */
function register<T>(container: DependencyContainer, provided: Class<T>, make: () => T): InjectionToken<T> {
  // Abstract classes work as tokens; only tsyringe's types exclude them.
  const token = provided as InjectionToken<T>;
  if (!container.isRegistered(token, true)) container.register(token, { useFactory: instanceCachingFactory(make) });
  return token;
}

/** @throws ConfigurationError for two databases with one context name, because their contexts would be one */
function unitOfWorkOf({ orm, otherOrms = [] }: Options, { changeLog }: Settings): UnitOfWork {
  const names = [orm, ...otherOrms].map(({ em }) => em.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined)
    return new UnitOfWork(
      orm.em,
      otherOrms.map(({ em }) => em),
      new ModelQueries(changeLog.preparedStatements),
    );
  throw new ConfigurationError({
    class: 'createApp',
    member: 'otherOrms',
    reason: `has two databases with the context name "${twice}".`,
    remedy: 'Give each its own: MikroORM.init({ contextName }).',
  });
}

/** The default logger: for developers, or for programs. In specs it shows failures, but no start-up lines. */
function loggerFor({ development, log: { redacted } }: Settings): Logger {
  if (!development) return new Logger('info', undefined, undefined, redacted);
  return new TerminalLogger(isTestRun() ? 'warn' : 'debug', undefined, undefined, redacted);
}

/** The activity log; undefined if its lines would not be written. */
function activityLogFor({ development, log }: Settings, logger: Logger, clock: Clock): ActivityLog | undefined {
  const isWritten = development && log.actions === 'all' && logger.isLevelEnabled('info');
  return isWritten ? new ActivityLog(logger, clock) : undefined;
}

/** The channel layer, which is also the one that is injected. */
function channelLayerOf(
  { channelLayer, orm }: Options,
  container: DependencyContainer,
  logger: Logger,
  settings: Settings,
): ChannelLayer {
  if (channelLayer) container.registerInstance(ChannelLayer as InjectionToken<ChannelLayer>, channelLayer);
  const slice = settings.outbound.groupSlice;
  // Without entities the database is not used, and need not exist. Without LISTEN no message would arrive.
  const isShared = usesDatabase(orm) && !isEmbedded(orm) && settings.changeLog.listen;
  const layer = provide(container, ChannelLayer, () =>
    isShared ? new NotifyChannelLayer(orm, { slice }) : new InMemoryChannelLayer({ slice }),
  );
  layer.onFailure((error) => {
    if (safeInstanceof(error, ChannelLayerUnavailable))
      logger.warn('The connection to the channel layer was lost.', { error });
    else logger.error('The channel layer failed.', { error });
  });
  return layer;
}

/** Loads a user again, with the time limit of connect permissions. Undefined if the application has no `users`. */
function userFinder(
  { users }: Options,
  container: DependencyContainer,
  unitOfWork: UnitOfWork,
  deadlines: Deadlines,
  { handshakeTimeLimit: milliseconds }: Settings,
): ((userId: string) => Promise<ScopeUser | null | undefined>) | undefined {
  if (!users) return undefined;
  const error = (): Error => new HandshakeTimedOut('Your rights could not be checked in time.');
  return (userId) => {
    const found = unitOfWork.run(async () => container.resolve(users).find(userId));
    return deadlines.limit(found, { milliseconds, error });
  };
}

function mappersOf(
  { orm, otherOrms = [], errors = [] }: Options,
  container: DependencyContainer,
): readonly ErrorMapper[] {
  const metadata = [orm, ...otherOrms].map(({ em }) => em.getMetadata());
  const ormErrors: ErrorMapper = { toApiError: (thrown) => toApiError(metadata, thrown) };
  return [...errors.map((mapper) => container.resolve(mapper)), ormErrors];
}

/** Builds singletons in the root container: one that a connection resolves first must not end with the connection. */
function checkAndBuildProviders(
  container: DependencyContainer,
  options: Options,
  router: Router,
  unitOfWork: UnitOfWork,
): void {
  const providers = providersOf(options, router);
  const consumers = router.consumers.map(({ consumer }) => consumer);
  checkProviders(container, providers);
  checkConsumersAreNotShared(container, consumers);
  for (const serializer of withNested(router.consumers.flatMap(observersOf).map(({ serializer }) => serializer))) {
    checkShowsEvents(container, serializer);
    checkRights(serializer);
  }
  for (const schema of router.routes.flatMap(({ schemas }) => Object.values(schemas) as readonly KwargsSchema[]))
    if (!isStandardSchema(schema)) checkTransformer(schema);
  for (const { observers } of router.consumers)
    for (const observer of observers.values()) checkReads(observer, unitOfWork);
  buildSingletons(container, providers);
}

/** Checks models before the change log reads the observers, because it uses their serializers for as long as the process has the ORM. */
function checkModels(options: Options, router: Router, unitOfWork: UnitOfWork): void {
  const serializers = providersOf(options, router).filter(isSerializerClass);
  for (const serializer of serializers) checkModelSerializer(serializer, unitOfWork);
  for (const { consumer } of router.consumers) checkModelConsumer(consumer, unitOfWork);
}

/** Every class that the container will resolve, as far as declarations show. */
function providersOf(
  { errors = [], hooks = [], ticketStore, users }: Options,
  router: Router,
): readonly ConcreteClass[] {
  const middleware = router.routes.flatMap((route) => route.middleware);
  return [
    ...new Set<ConcreteClass>([
      ...router.consumers.flatMap(providersOfConsumer),
      ...middleware.flatMap((piece: ScopeMiddlewareClass) => [piece, ...(piece.providers ?? [])]),
      ...errors,
      ...hooks,
      ...(users ? [users] : []),
      ...(ticketStore ? [ticketStore] : []),
    ]),
  ];
}

const noSettings: Partial<ReturnType<typeof settingsOf>> = {};

function providersOfConsumer(compiled: CompiledConsumer): ConcreteClass[] {
  const { consumer, actions, permissions, model } = compiled;
  const { paginator, filters, serializer: own } = model ? settingsOf(consumer.prototype) : noSettings;
  const shown = withNested([
    own,
    ...[...actions.values()].map(({ reply }) => reply),
    ...observersOf(compiled).map(({ serializer }) => serializer),
  ]);
  const serializers = new Set([...shown, ...[...shown].map(inputOf)]);
  return [
    consumer,
    ...(paginator ? [paginator] : []),
    ...(filters?.backends ?? []),
    ...permissions.providers,
    ...[...actions.values()].flatMap((action) => action.permissions.providers),
    ...serializers,
    ...[...serializers].flatMap((serializer) => [...rightsIn(serializer).keys()]),
  ];
}

function observersOf({ observers }: CompiledConsumer): readonly Observer[] {
  return [...observers.values()];
}

/** These serializers, and those that are nested in them. */
function withNested(shown: readonly unknown[]): ReadonlySet<SerializerClass> {
  const serializers = new Set<SerializerClass>();
  const collect = (serializer: SerializerClass): void => {
    if (serializers.has(serializer)) return;
    serializers.add(serializer);
    Object.values(declaredBy(serializer)?.options.nested ?? {}).forEach(collect);
  };
  shown.filter(isSerializerClass).forEach(collect);
  return serializers;
}
