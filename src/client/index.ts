export type { Asked, ClientClock, ClientOptions, ClientTimer } from './client-options.js';
export type { ActionView, Client, ClientControls, ConsumerClient, ConsumerView, ObserverView } from './client-types.js';
export type { ConnectionStatus, StatusListener, StatusReason } from './connection.js';
export { createClient } from './create-client.js';
export type { Payload } from './exchange.js';
export type { FrameListener } from './exchanges.js';
export {
  type LiveCollection,
  type LiveOptions,
  type LiveSnapshot,
  type LiveStatus,
  live,
  type RowEvent,
  type RowOf,
} from './live.js';
export type { ActionCall, RequestOptions } from './request.js';
export { type ErrorDetail, SignalboxError } from './signalbox-error.js';
export type { Subscription, SubscriptionState } from './subscription.js';
export type { WebSocketLike } from './web-socket-like.js';
