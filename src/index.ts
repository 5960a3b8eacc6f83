import './node-version.js';
import 'reflect-metadata';

export type { Authentication, SessionStore, TokenVerifier, UserStore } from './authentication/authentication.js';
export { Connections, type DisconnectCode, type Id } from './authentication/connections.js';
export {
  bearerToken,
  type CookieSessionOptions,
  cookieSession,
  identityUser,
  queryTicket,
  subprotocolToken,
} from './authentication/middleware.js';
export type { StoredTicket, TicketStore } from './authentication/tickets.js';
export { InMemoryTicketStore, type IssuedTicket, Tickets } from './authentication/tickets.js';
export type { BrokerOptions } from './channel-layer/broker-channel-layer.js';
export {
  ChannelLayer,
  type ChannelMessage,
  type ChannelReceiver,
  type GroupMessage,
} from './channel-layer/channel-layer.js';
export { InMemoryChannelLayer } from './channel-layer/in-memory-channel-layer.js';
export type { ChannelLayerOptions } from './channel-layer/layer-options.js';
export { Clock, type Timer } from './clock.js';
export { ApiConsumer, type OwnRequest } from './consumers/api-consumer.js';
export type { ActionApi, ConsumerApi, ObserverApi, TakenAway } from './consumers/api-types.js';
export {
  type MixedConsumerClass,
  type MixedInto,
  type Mixin,
  type MixinBase,
  type MixinModel,
  type MixinTypes,
  mix,
} from './consumers/mix.js';
export {
  BulkCreate,
  type BulkCreateActions,
  BulkDelete,
  type BulkDeleteActions,
  type BulkItem,
  BulkPatch,
  type BulkPatchActions,
} from './consumers/model-bulk.js';
export {
  BaseModelConsumer,
  ModelConsumer,
  type ModelConsumerClass,
  type PerformCreate,
  type PerformDelete,
  type PerformUpdate,
  type WritingSerializer,
} from './consumers/model-consumer.js';
export {
  List,
  type ListActions,
  type ListKwargs,
  type ListParameters,
  type ListResult,
  StreamedList,
  type StreamedListActions,
} from './consumers/model-list.js';
// The interfaces of the mixins too: a compiler that emits declarations has to name them where an application exports a consumer.
export {
  Create,
  type CreateActions,
  Delete,
  type DeleteActions,
  Patch,
  type PatchActions,
  Retrieve,
  type RetrieveActions,
  Update,
  type UpdateActions,
} from './consumers/model-mixins.js';
export {
  type InstanceKey,
  ObserveInstance,
  type ObserveInstanceActions,
} from './consumers/model-observe-instance.js';
export {
  type KindKey,
  type KindKwargs,
  ObserveKinds,
  type ObserveKindsActions,
} from './consumers/model-observe-kinds.js';
export { ObserveRows, type ObserveRowsActions, type RowsKwargs } from './consumers/model-observe-rows.js';
export type {
  AnyModelOptions,
  ModelConsumerOptions,
  ModelTraits,
  PlainTraits,
  TraitsOf,
} from './consumers/model-options.js';
export type { RowsDescription } from './consumers/model-rows.js';
export { type ConsumerWithout, without } from './consumers/without.js';
export { Action, type ActionOptions, Detached, DetailAction } from './decorators/action.js';
export { Consumer, type ConsumerOptions, Groups, OnMessage, Permissions } from './decorators/consumer.js';
export {
  GroupsForBoth,
  GroupsForConsumer,
  GroupsForSignal,
  ModelObserver,
  type ModelObserverOptions,
  Observer,
  type ObserverOptions,
  RevokedBy,
} from './decorators/observer.js';
export type { ReplyClass } from './dispatch/actions.js';
export type { ErrorMapper } from './dispatch/error-mapping.js';
export { ActionReply, reply } from './dispatch/reply.js';
export * from './errors.js';
export type {
  FilterKwargsOf,
  FilterOperator,
  FilterOptions,
  FilterPath,
  TextFieldOf,
  TextPath,
} from './filters/filter-types.js';
export { FilterBackend, type FilterBackendClass } from './filters/model-filter-backend.js';
export type { JsonSchema } from './kwargs/json-schema.js';
export type { KwargsInputOf, KwargsOf, KwargsSchema } from './kwargs/kwargs-checker.js';
export { afterCommit } from './log/after-commit.js';
export { Announcer } from './log/announcer.js';
export { NotifyChannelLayer } from './log/notify-channel-layer.js';
export { type LogFields, Logger, type LogLevel, type LogLimits } from './logger.js';
export type {
  ModelDeleted,
  ModelEvent,
  ModelWritten,
  ObserverMethod,
  SentEvent,
  SentSignal,
  SignalEvent,
  Subscription,
} from './observers/model-event.js';
export { type ObserverNameOf, Rechecker } from './observers/rechecker.js';
export type { UnitOfWork } from './orm/unit-of-work.js';
export { type CursorKwargs, CursorPage, CursorPaginator } from './paginators/cursor-paginator.js';
export { type LimitOffsetKwargs, LimitOffsetPage, LimitOffsetPaginator } from './paginators/limit-offset-paginator.js';
export { Page } from './paginators/page.js';
export { NumberedPage, type PageNumberKwargs, PageNumberPaginator } from './paginators/page-number-paginator.js';
export {
  type PageKwargsOf,
  type PageOf,
  type PageSource,
  Paginator,
  type PaginatorClass,
  type PaginatorTypes,
  type paginatorTypes,
} from './paginators/paginator.js';
export type { GivenRights, Rights, RightsNameOf, RightsProvider } from './permissions/permission.js';
export {
  type AnyPermission,
  all,
  any,
  type Delivery,
  describePermission,
  not,
  type Permission,
  type PermissionExpression,
  withOptions,
} from './permissions/permission.js';
export { AllowAny, IsAuthenticated } from './permissions/standard-permissions.js';
export { ActionContext } from './scope/action-context.js';
export type { ParameterSchema, PathParams } from './scope/route-parameters.js';
export { type HandshakeRequest, Scope } from './scope/scope.js';
export type { ScopeMiddleware, ScopeMiddlewareClass } from './scope/scope-middleware.js';
// With a star, because only then applications can add to `ScopeTypes` by declaration merging.
export * from './scope/scope-types.js';
export type { FieldRights } from './serializers/field-rights.js';
export { BaseModelSerializer, ModelSerializer, type ModelSerializerClass } from './serializers/model-serializer.js';
export type {
  DataOf,
  EntityOf,
  InputOf,
  KeyOf,
  ModelSerializerOptions,
  RowData,
  ViewOf,
} from './serializers/model-types.js';
export { serializeMany, serializeOne } from './serializers/serialize.js';
export { Serializer, type SerializerClass, type SerializerContext } from './serializers/serializer.js';
export type { AppApi } from './server/api-types.js';
export { type App, createApp } from './server/app.js';
export type { PlainRequest, RequestClient } from './server/app-explorer.js';
export type {
  AcceptedConnection,
  ApplicationHooks,
  AppOptions,
  AttachOptions,
  ListenAddress,
  ListenOptions,
  UpgradableServer,
} from './server/app-options.js';
export {
  type ClosingOptions,
  type Concerned,
  type ConnectionRule,
  closeOn,
  type ModelCondition,
  recheckOn,
  type SignalCondition,
} from './server/connection-rules.js';
export type {
  ActionDescription,
  ApplicationDescription,
  FieldDescription,
  ObserverDescription,
  PermissionData,
  PermissionDescription,
  RouteDescription,
  SerializerDescription,
  StreamDescription,
} from './server/description.js';
export type { HealthRequest, HealthResponse, Readiness } from './server/health.js';
export type { ShutdownOptions } from './server/process-signals.js';
export {
  type Demultiplexer,
  demultiplexer,
  type NestedRouter,
  path,
  type Route,
  type RouteOptions,
  type RouterOptions,
  router,
} from './server/routes.js';
export type { Transport, TransportListener } from './server/transport.js';
export { type ChangeLogWriter, type ChangeLogWriterOptions, writeChangeLog } from './server/write-change-log.js';
export type { GivenSettings, Limits, Settings } from './settings.js';
export { type AnySignal, Signal } from './signals/signal.js';
export { CloseCode, Status } from './status.js';
export { type CounterLabels, Counters, type TraceAttributes, Tracer, type TraceSpan } from './telemetry.js';
export { type LogStream, TerminalLogger } from './terminal-logger.js';
export { Throttle, type ThrottleOptions } from './throttle.js';
export { type InjectOptions, type InjectResponse, injectView } from './views/inject-view.js';
export { type NodeHandler, nodeView } from './views/node-view.js';
export type { View, ViewFacts } from './views/view.js';
export {
  type ViewActions,
  type ViewConsumerClass,
  type ViewMethods,
  viewAsConsumer,
} from './views/view-as-consumer.js';
export { ViewFailed } from './views/view-response.js';
export { route, type ViewRoute, type ViewTarget } from './views/view-route.js';
export type { Json } from './wire/json.js';
export type { ReplyFrame, RequestId } from './wire/messages.js';
