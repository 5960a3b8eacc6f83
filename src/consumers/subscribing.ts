import type { Exchange } from '../dispatch/exchange.js';
import type { Logger } from '../logger.js';
import type { Observer } from '../observers/observer.js';
import { type SubscriptionRecord, type Subscriptions, without } from '../observers/subscriptions.js';
import { ActionContext } from '../scope/action-context.js';
import type { Scope } from '../scope/scope.js';
import type { RequestId } from '../wire/messages.js';
import type { Commits } from './arrivals.js';
import type { Deliveries } from './deliveries.js';
import { rightsFor } from './grants.js';

export interface SubscribingParts {
  readonly scope: Scope;
  readonly consumer: object;
  readonly subscriptions: Subscriptions;
  readonly publisher: Commits;
  readonly logger: Logger;
  /** The request under way. @throws Revoked where its user is not there any more */
  readonly findRequest: () => Exchange | undefined;
}

/** What the actions of one consumer subscribe to, and end. */
export class Subscribing {
  readonly #parts: SubscribingParts;
  readonly #deliveries: Pick<Deliveries, 'holdUntilConfirmed'>;

  constructor(parts: SubscribingParts, deliveries: Pick<Deliveries, 'holdUntilConfirmed'>) {
    this.#parts = parts;
    this.#deliveries = deliveries;
  }

  /** Undone if its request fails; refused if its request has been answered already. */
  async subscribe(observer: Observer, kwargs: unknown, context: ActionContext): Promise<void> {
    const { consumer, subscriptions, publisher, findRequest } = this.#parts;
    const { requestId, signal, action, kwargs: sent } = context;
    const groups = await observer.groupsOfSubscription(consumer, kwargs);
    signal.throwIfAborted();
    const exchange = findRequest();
    const { record, isNew } = subscriptions.open(observer, requestId, kwargs, publisher.commits);
    const added = without(groups, record.groups);
    const { noted, takeBack } = subscriptions.note(record, { action, sent, kwargs, groups, rights: undefined });
    if (isNew && exchange) this.#deliveries.holdUntilConfirmed(record, exchange);
    exchange?.whenEnded((hasSucceeded) => {
      if (hasSucceeded) return;
      takeBack();
      void this.#undo(record, added);
    });
    await subscriptions.listen(record, added);
    // Behind the joining, and as if never asked before: what changes them from now on is asked again.
    noted.rights = await rightsFor(observer, new ActionContext(context));
  }

  async unsubscribe(observer: Observer, kwargs: unknown, requestId: RequestId | undefined): Promise<void> {
    const { consumer, subscriptions } = this.#parts;
    if (requestId !== undefined && requestId !== null) return subscriptions.removeRequest(observer, requestId);
    return subscriptions.removeGroups(observer, await observer.groupsOfSubscription(consumer, kwargs));
  }

  async #undo(record: SubscriptionRecord, added: readonly string[]): Promise<void> {
    const { subscriptions, logger, scope } = this.#parts;
    try {
      await subscriptions.leave(record, added);
    } catch (error) {
      logger.error('A failed subscription could not leave its groups.', { path: scope.path, error });
    }
  }
}
