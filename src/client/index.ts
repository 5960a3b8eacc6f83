export { type BinaryFrames, binaryFrames } from './binary-frames.js';
export type { Asked, ClientClock, ClientOptions, ClientTimer } from './client-options.js';
export type {
  ActionView,
  Client,
  ClientControls,
  ConsumerClient,
  ConsumerView,
  FrameListener,
  ObserverView,
} from './client-types.js';
export { createClient } from './create-client.js';
export type { Payload } from './exchange.js';
export { hear } from './hear.js';
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
export type { ConnectionStatus, StatusListener, StatusReason } from './status.js';
export type { Subscription, SubscriptionState } from './subscription.js';
export type { WebSocketLike } from './web-socket-like.js';
export { type HandshakeFacts, webSocketWith } from './web-socket-with.js';
