import type { ChannelMessage } from '../channel-layer/channel-layer.js';
import type { Identity } from '../scope/identity.js';

/** Whose connections are meant. */
export type Whose = { readonly user: string } | { readonly session: string };

/** What is to become of somebody's connections, in every process. */
export type Order =
  | { readonly kind: 'disconnect'; readonly whose: Whose; readonly reason: string; readonly code: number }
  | { readonly kind: 'recheck'; readonly whose: Whose };

const messageType = 'signalbox:order';

/** @param source which process gives it */
export function toMessage(order: Order, source: string): ChannelMessage {
  return { type: messageType, order, source };
}

/** Nothing where the message is none of ours, or from this process, which has obeyed already. */
export function fromMessage({ type, order, source }: ChannelMessage, self: string): Order | undefined {
  return type === messageType && source !== self ? (order as Order) : undefined;
}

export function concerns({ whose }: Order, identity: Identity | undefined): boolean {
  if (!identity) return false;
  return 'user' in whose ? String(identity.userId) === whose.user : identity.sessionId === whose.session;
}
