import {
  type DependencyContainer,
  container as globalContainer,
  type InjectionToken,
  instanceCachingFactory,
} from 'tsyringe';
import { InMemoryTicketStore } from '../authentication/in-memory-ticket-store.js';
import { Tickets } from '../authentication/tickets.js';
import { ChannelLayer } from '../channel-layer/channel-layer.js';
import { InMemoryChannelLayer } from '../channel-layer/in-memory-channel-layer.js';
import { Clock } from '../clock.js';
import { checkModelConsumer } from '../consumers/model-check.js';
import { Counters, GuardedCounters } from '../counters.js';
import { Dispatcher } from '../dispatch/dispatcher.js';
import { type ErrorMapper, ErrorTranslator } from '../dispatch/error-translator.js';
import { ConfigurationError } from '../errors.js';
import { Logger } from '../logger.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { Rechecker } from '../observers/rechecker.js';
import { Announcer } from '../orm/announcer.js';
import { toApiError } from '../orm/orm-errors.js';
import { entityManagerTokens } from '../orm/orm-root.js';
import { UnitOfWork } from '../orm/unit-of-work.js';
import { ScopeBuilder } from '../scope/scope-builder.js';
import { ScopeDisposer } from '../scope/scope-disposal.js';
import { buildSingletons, checkConsumersAreNotShared, checkShowsEvents } from '../scope/singletons.js';
import { checkRights } from '../serializers/field-rights.js';
import { checkModelSerializer } from '../serializers/model-serializer.js';
import { isSerializerClass } from '../serializers/serializer.js';
import { completeSettings, type Settings } from '../settings.js';
import { GuardedTracer, Tracer } from '../tracer.js';
import type { AppOptions } from './app-options.js';
import { buildChanges, type Changes } from './changes.js';
import { checkOptions } from './check-options.js';
import { buildConnections, type ConnectionServices } from './connection-services.js';
import { Gate } from './gate.js';
import { Handshake } from './handshake.js';
import { Heartbeat } from './heartbeat.js';
import { Hooks } from './hooks.js';
import { Joining } from './joining.js';
import { OutboundTraffic } from './outbound-traffic.js';
import { checkProviders } from './provider-check.js';
import { eventSerializersOf, providersOf } from './providers.js';
import type { Route } from './route.js';
import { Router } from './router.js';

/** The parts of a running application, put together once. */
export interface Services extends Changes, ConnectionServices {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly layer: ChannelLayer;
  readonly unitOfWork: UnitOfWork;
  readonly errors: ErrorTranslator;
  readonly dispatcher: Dispatcher;
  readonly disposer: ScopeDisposer;
  /** Ends the listening to signals and to writes. */
  readonly stopListening: () => void;
  readonly handshake: Handshake;
  readonly gate: Gate;
  readonly clock: Clock;
  readonly hooks: Hooks;
  readonly joining: Joining;
  readonly traffic: OutboundTraffic;
  readonly heartbeat: Heartbeat;
}

/** @throws ConfigurationError for everything that could not work */
export function buildServices(options: AppOptions<readonly Route[]>): Services {
  checkOptions(options);
  const { orm, permissions = [], middleware = [] } = options;
  const settings = completeSettings(options.settings);
  const router = new Router(options.routes, { permissions, middleware }, settings);
  const container = options.container ?? globalContainer.createChildContainer();
  for (const token of entityManagerTokens(orm)) provide(container, token, () => orm.em);
  const { logger, counters, tracer, clock } = witnessesOf(container, settings);
  const layer = layerOf(options, container, logger, settings);
  const observers = router.consumers.flatMap((consumer) => [...consumer.observers.values()]);
  const unitOfWork = unitOfWorkOf(options);
  const resolve = <T>(provider: ConcreteClass<T>): T => container.resolve(provider);
  const isDevelopment = settings.development;
  const connections = buildConnections(options, { container, layer, clock, logger, counters, unitOfWork, settings });
  const changeParts = { orm, observers, layer, unitOfWork, logger, clock, settings, tracer, isDevelopment, resolve };
  const changes = buildChanges({ ...changeParts, ...connections });
  provide(container, Announcer, () => new Announcer(unitOfWork, changes.subscriber));
  provide(container, Rechecker, () => changes.rechecker);
  checkAndBuildProviders(container, options, router, unitOfWork);
  provide(container, Tickets, () => ticketsOf(options, container, settings, connections));
  const hookProviders = (options.hooks ?? []).map(resolve);
  const errors = new ErrorTranslator(mappersOf(options, container), logger);
  const dispatcher = new Dispatcher({ unitOfWork, errors, clock, logger, counters, tracer, settings });
  const disposer = new ScopeDisposer((work) => dispatcher.runHook(work), logger);
  const shared = { settings, logger, clock, counters, layer, unitOfWork, errors, dispatcher, disposer };
  return {
    ...shared,
    ...connections,
    ...changes,
    ...socketKeepersOf(settings, { clock, counters, logger }),
    stopListening: changes.listen(),
    handshake: new Handshake({ ...shared, router, scopes: new ScopeBuilder(container, disposer) }),
    gate: new Gate({ settings, clock, counters }),
    joining: new Joining({ ...shared, live: connections.live }),
    hooks: new Hooks({ hooks: hookProviders, unitOfWork, logger, clock, stopTimeout: settings.closeTimeout }),
  };
}

/** Singletons are resolved from the root: what a connection resolved first would live and die with it. */
function checkAndBuildProviders(
  container: DependencyContainer,
  options: AppOptions<readonly Route[]>,
  router: Router,
  unitOfWork: UnitOfWork,
): void {
  const providers = providersOf(options, router);
  const consumers = router.consumers.map(({ consumer }) => consumer);
  checkProviders(container, providers);
  checkConsumersAreNotShared(container, consumers);
  for (const serializer of providers.filter(isSerializerClass)) checkModelSerializer(serializer, unitOfWork);
  for (const serializer of eventSerializersOf(router)) {
    checkShowsEvents(container, serializer);
    checkRights(serializer);
  }
  for (const consumer of consumers) checkModelConsumer(consumer, unitOfWork);
  buildSingletons(container, providers);
}

/** @throws ConfigurationError for two databases of one context name: their contexts would be one */
function unitOfWorkOf({ orm, otherOrms = [] }: AppOptions<readonly Route[]>): UnitOfWork {
  const names = [orm, ...otherOrms].map(({ em }) => em.name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice === undefined)
    return new UnitOfWork(
      orm.em,
      otherOrms.map(({ em }) => em),
    );
  throw new ConfigurationError({
    class: 'createApp',
    member: 'otherOrms',
    reason: `has two databases with the context name "${twice}".`,
    remedy: 'Give each its own: MikroORM.init({ contextName }).',
  });
}

function socketKeepersOf(
  { outbound, heartbeat, closeTimeout }: Settings,
  parts: Pick<Services, 'clock' | 'counters' | 'logger'>,
): Pick<Services, 'traffic' | 'heartbeat'> {
  return {
    traffic: new OutboundTraffic({ ...parts, settings: outbound, closeTimeout }),
    heartbeat: new Heartbeat({ ...parts, settings: heartbeat }),
  };
}

/** Keeps what the application registered itself. */
function provide<T>(container: DependencyContainer, provided: Class<T>, make: () => T): T {
  // Abstract classes are tokens as good as any; only tsyringe's types do not know.
  const token = provided as InjectionToken<T>;
  if (!container.isRegistered(token, true)) container.register(token, { useFactory: instanceCachingFactory(make) });
  return container.resolve(token);
}

/** Those who tell what happens, and when. */
function witnessesOf(
  container: DependencyContainer,
  { development, log }: Settings,
): Pick<Services, 'logger' | 'counters' | 'clock'> & { readonly tracer: Tracer } {
  const level = development ? 'debug' : 'info';
  const logger = provide(container, Logger, () => new Logger(level, undefined, undefined, log.redacted));
  const counters = provide(container, Counters, () => new Counters());
  const tracer = provide(container, Tracer, () => new Tracer());
  return {
    logger,
    counters: new GuardedCounters(counters, (error) => logger.error('The counters failed.', { error })),
    tracer: new GuardedTracer(tracer, (error) => logger.error('The tracer failed.', { error })),
    clock: provide(container, Clock, () => new Clock()),
  };
}

/** The one that is injected is the one that is used. */
function layerOf(
  { channelLayer }: AppOptions<readonly Route[]>,
  container: DependencyContainer,
  logger: Logger,
  settings: Settings,
): ChannelLayer {
  if (channelLayer) container.registerInstance(ChannelLayer as InjectionToken<ChannelLayer>, channelLayer);
  const onFailure = (error: unknown): void => logger.error('A channel failed.', { error });
  return provide(container, ChannelLayer, () => new InMemoryChannelLayer(onFailure, settings.outbound.groupSlice));
}

function ticketsOf(
  { ticketStore }: AppOptions<readonly Route[]>,
  container: DependencyContainer,
  { ticketLifetime }: Settings,
  { live }: ConnectionServices,
): Tickets {
  const clock = container.resolve(Clock);
  const store = ticketStore
    ? container.resolve(ticketStore)
    : new InMemoryTicketStore(clock, container.resolve(Logger));
  return new Tickets(store, clock, ticketLifetime, (moment, identity) => live.wasDisconnectedSince(moment, identity));
}

function mappersOf(
  { orm, otherOrms = [], errors = [] }: AppOptions<readonly Route[]>,
  container: DependencyContainer,
): readonly ErrorMapper[] {
  const metadata = [orm, ...otherOrms].map(({ em }) => em.getMetadata());
  const ormErrors: ErrorMapper = { toApiError: (thrown) => toApiError(metadata, thrown) };
  return [...errors.map((mapper) => container.resolve(mapper)), ormErrors];
}
