/**
 * Receives committed changes for the explorer. Without an explorer there is no inspector, and nothing is made for it: code that reports to
 * one first checks whether it is there.
 */
export interface ChangeInspector {
  published(event: PublishedEvent): void;
}

/** A committed change or a signal, with its groups for one observer. Reported once per observer. */
export interface PublishedEvent {
  /** The number of the commit in this process. */
  readonly commit: number;
  readonly observer: string;
  /** The class of the consumer, and its observing member. */
  readonly consumer: string;
  readonly member: string;
  /** The class of the entity; for a signal, the `action` of its events. */
  readonly subject: string;
  /** The key of the row; null for a signal. */
  readonly pk: unknown;
  /** The change of the row itself. */
  readonly change: 'create' | 'update' | 'delete' | 'signal';
  /** The groups of the row, without the observer's name. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Receives the outcome of one connection's events. */
export interface DeliveryInspector {
  /** @param stream null on a route with one consumer */
  decided(stream: string | null, decision: DeliveryDecision): void;
}

/** The outcome of one event for one subscription, with its reason. */
export interface DeliveryDecision {
  readonly observer: string;
  /** The number of the commit in this process; 0 if another process committed. */
  readonly commit: number;
  readonly requestId: string | number;
  readonly pk: unknown;
  /** The change from the view of the subscription's groups. */
  readonly action: string;
  readonly outcome: DeliveryOutcome;
  /** The groups of the subscription, without the observer's name. */
  readonly groups: readonly string[];
  /** The asked permissions, in order. */
  readonly asked: readonly PermissionAnswer[];
  /** The sent action, if it differs: a row that leaves the client's sight is a delete. */
  readonly sentAs?: string;
}

/**
 * - `sent`: a frame was sent.
 * - `kept`: the observer's method sent nothing.
 * - `hidden`: the consumer's query, or a permission on the object, does not show the row to this client.
 * - `refused`: a permission refused the event.
 * - `revoked`: the subscription is no longer allowed, and has ended.
 * - `ended`: the subscription ended before.
 * - `failed`: something threw; the log has the error.
 */
export type DeliveryOutcome = 'sent' | 'kept' | 'hidden' | 'refused' | 'revoked' | 'ended' | 'failed';

export interface PermissionAnswer {
  readonly permission: string;
  /** The permission's answer; null if it has no opinion. */
  readonly answer: boolean | null;
}
