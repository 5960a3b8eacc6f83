/**
 * Hears of committed changes, for the explorer. Without an explorer there is no inspector, and nothing is made for it: each
 * place that reports to one checks first whether it is there.
 */
export interface ChangeInspector {
  published(event: PublishedEvent): void;
}

/** A committed change, or a signal, and the groups that one observer gives it. Reported once per observer. */
export interface PublishedEvent {
  /** Which commit of this process it belongs to. */
  readonly commit: number;
  readonly observer: string;
  /** The class of the consumer, and its member that observes. */
  readonly consumer: string;
  readonly member: string;
  /** The class of the entity; of a signal, what its events are called. */
  readonly subject: string;
  /** Of a signal, null. */
  readonly pk: unknown;
  /** What happened to the row itself. */
  readonly change: 'create' | 'update' | 'delete' | 'signal';
  /** The groups of the row, without the name of the observer. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Hears what becomes of the events of one connection. */
export interface DeliveryInspector {
  /** @param stream null on a route with one consumer */
  decided(stream: string | null, decision: DeliveryDecision): void;
}

/** What became of one event for one subscription, and why. */
export interface DeliveryDecision {
  readonly observer: string;
  /** Zero where another process committed. */
  readonly commit: number;
  readonly requestId: string | number;
  readonly pk: unknown;
  /** What the change is to the groups of the subscription. */
  readonly action: string;
  readonly outcome: DeliveryOutcome;
  /** The groups that the subscription listens to, without the name of the observer. */
  readonly groups: readonly string[];
  /** The permissions that were asked, in this order. */
  readonly asked: readonly PermissionAnswer[];
  /** What was sent, where it is another action: a row that went out of sight is a delete. */
  readonly sentAs?: string;
}

/**
 * - `sent`: a frame was sent.
 * - `kept`: the observer's method sent nothing.
 * - `hidden`: the consumer's query, or a permission for the object, does not show the row to this client.
 * - `refused`: a permission refused the event.
 * - `revoked`: what granted the subscription does not hold any more, so that it has ended.
 * - `ended`: the subscription ended before.
 * - `failed`: something threw; the log says what.
 */
export type DeliveryOutcome = 'sent' | 'kept' | 'hidden' | 'refused' | 'revoked' | 'ended' | 'failed';

export interface PermissionAnswer {
  readonly permission: string;
  /** Null: it has no opinion. */
  readonly answer: boolean | null;
}
