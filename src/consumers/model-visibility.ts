import type { EntityMetadata } from '@mikro-orm/core';
import type { Class } from '../metadata.js';
import type { ObservedEvent, Visibility } from '../observers/observer-declaration.js';
import { toPrimaryKey } from '../orm/model-key.js';
import { ActionContext } from '../scope/action-context.js';
import { encodeData } from '../wire/codec.js';
import { BaseModelConsumer, modelOf } from './model-consumer.js';

/** As much of a subscription as tells which rows are visible to it. */
interface Subscribed {
  readonly kwargs: unknown;
  readonly requestId: string | number;
}

type AnyModelConsumer = BaseModelConsumer<object, never>;

/** The request behind the kwargs of a subscription: its consumer's query may need what the client sent with it. */
const requests = new WeakMap<object, ActionContext>();

/** The rows that a subscription heard leave, by their keys. */
const hidden = new WeakMap<object, Set<string>>();

export function rememberRequest(kwargs: object, context: ActionContext): void {
  requests.set(kwargs, context);
}

/**
 * The rows that are visible to a connection are those of its consumer's query. Leaving them looks like a delete, coming
 * back like a create; what happens to a row outside of them is not told. Undefined where a consumer class shows every row,
 * so that no event of it has to ask the database.
 */
export function visibilityOf(consumer: Class): Visibility | undefined {
  const { getQuery, filterQuery } = BaseModelConsumer.prototype as unknown as Hooks;
  const own = consumer.prototype as unknown as Hooks;
  return own.getQuery === getQuery && own.filterQuery === filterQuery ? undefined : seenBy;
}

interface Hooks {
  readonly getQuery: unknown;
  readonly filterQuery: unknown;
}

async function seenBy(
  consumer: object,
  event: ObservedEvent,
  subscription: object,
): Promise<ObservedEvent | undefined> {
  const { action, pk } = event;
  const gone = hidden.get(subscription) ?? new Set();
  hidden.set(subscription, gone);
  const key = encodeData(pk);
  const wasGone = gone.has(key);
  if (action !== 'delete' && (await isVisible(consumer as AnyModelConsumer, pk, subscription as Subscribed))) {
    gone.delete(key);
    return wasGone ? { ...event, action: 'create' } : event;
  }
  // A row that is deleted may be there again, under the same key, and is then a new one.
  gone.add(key);
  return wasGone ? undefined : { action: 'delete', pk, data: { pk } };
}

/** By primary key, whatever clients name rows by. */
async function isVisible(consumer: AnyModelConsumer, pk: unknown, subscription: Subscribed): Promise<boolean> {
  const { em } = consumer['unitOfWork'];
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const key = toPrimaryKey(meta, pk);
  const [name] = meta.primaryKeys;
  const named = meta.primaryKeys.length === 1 && name ? { [name]: key } : key;
  const visible = await consumer['visibleRows'](contextOf(consumer, subscription));
  return (await em.count(modelOf(consumer), { $and: [named, visible] } as never)) > 0;
}

function contextOf(consumer: AnyModelConsumer, { kwargs, requestId }: Subscribed): ActionContext {
  const known = typeof kwargs === 'object' && kwargs !== null ? requests.get(kwargs) : undefined;
  const { signal } = new AbortController();
  const facts = known ?? {
    scope: consumer['scope'],
    action: 'subscribe_instance',
    kwargs: { ...(kwargs as object) },
  };
  return new ActionContext({ ...facts, requestId, signal });
}
