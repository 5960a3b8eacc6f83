export { type LiveRows, useLive } from './use-live.js';
export { useStatus } from './use-status.js';
export { type SubscriptionListeners, type SubscriptionSnapshot, useSubscription } from './use-subscription.js';
