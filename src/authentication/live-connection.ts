import type { ApiError } from '../errors.js';
import type { Scope } from '../scope/scope.js';
import type { Order } from './orders.js';

/** What a connection takes up of that which one user may have. */
export interface UserPlace {
  /** @throws Throttled where this user has as many connections as it may have; nothing has changed then */
  takeFor(user: string | undefined): void;
  /** Counts for a user who had it before, whether or not there is room by now. */
  returnTo(user: string | undefined): void;
}

/** A connection that was admitted, as far as it matters whose it is. */
export interface LiveConnection {
  readonly scope: Scope;
  readonly place: UserPlace;
  /** Answers what waits and runs with the reason, then closes with the code. Only the first call counts. Never rejects. */
  end(reason: ApiError, code: number): Promise<void>;
  /** Ends what the former user subscribed to and joined, and tells the client so. Never rejects. */
  changeUser(): Promise<void>;
  /** Asks the permissions to connect again: closes where all streams refuse, else refuses single ones. Never rejects. */
  recheck(): Promise<void>;
  /** Keeps an order for the requests under way: what they have read may be out of date by it. */
  note(order: Order): void;
  /** The orders since the request under way began, those that are still to come too; none outside of any. */
  ordersMeanwhile(): readonly Order[];
  /** Calls back once the request under way is answered; at once outside of any. */
  afterRequest(work: (hasSucceeded: boolean) => void): void;
}
