import type { EntityMetadata } from '@mikro-orm/core';
import type { Class } from '../metadata.js';
import type { ObservedEvent, Sight, Viewer, Visibility } from '../observers/observer-declaration.js';
import { byKey } from '../orm/model-key.js';
import type { ActionContext } from '../scope/action-context.js';
import { serializeAll } from '../serializers/serialize.js';
import { encodeData } from '../wire/codec.js';
import { BaseModelConsumer, modelOf } from './model-consumer.js';

type AnyModelConsumer = BaseModelConsumer<object, never>;

interface Hooks {
  readonly getQuery: unknown;
  readonly filterQuery: unknown;
}

/** The rows that a subscription heard leave, by their keys. */
const heardLeave = new WeakMap<object, Set<string>>();

/**
 * The rows that are visible to a connection are those of its consumer's query that no permission refuses. Leaving them looks
 * like a delete, coming back like a create; what happens to a row outside of them makes no event.
 */
export function visibilityOf(consumer: Class): Visibility {
  const { getQuery, filterQuery } = BaseModelConsumer.prototype as unknown as Hooks;
  const own = consumer.prototype as unknown as Hooks;
  return { isNarrowed: own.getQuery !== getQuery || own.filterQuery !== filterQuery, look, rowOf };
}

/** The row is judged as it is by now, and so that is what is shown of it: as it was, it might have been hidden. */
async function look(consumer: object, event: ObservedEvent, viewer: Viewer): Promise<Sight> {
  const { action, pk } = event;
  const gone = goneFor(viewer);
  const key = encodeData(pk);
  const wasGone = gone.has(key);
  const row = action === 'delete' ? undefined : await visibleRow(consumer as AnyModelConsumer, pk, viewer.context);
  const isRefused = row !== undefined && !(await viewer.maySee(row));
  if (row && !isRefused) {
    const data = await show(consumer as AnyModelConsumer, row, viewer);
    return { event: { action: wasGone ? 'create' : action, pk, data }, isRefused, note: () => gone.delete(key) };
  }
  // A row that is deleted may be there again, under the same key, and is then a new one.
  const note = (): unknown => gone.add(key);
  return wasGone ? { isRefused, note } : { event: { action: 'delete', pk, data: { pk } }, isRefused, note };
}

async function rowOf(consumer: object, kwargs: unknown, context: ActionContext): Promise<object | undefined> {
  return visibleRow(consumer as AnyModelConsumer, (kwargs as { readonly pk: unknown }).pk, context);
}

function goneFor({ subscription }: Viewer): Set<string> {
  const gone = heardLeave.get(subscription) ?? new Set();
  heardLeave.set(subscription, gone);
  return gone;
}

/** By primary key, whatever clients name rows by. */
async function visibleRow(
  consumer: AnyModelConsumer,
  pk: unknown,
  context: ActionContext,
): Promise<object | undefined> {
  const { em } = consumer['unitOfWork'];
  const meta = em.getMetadata(modelOf(consumer)) as EntityMetadata;
  const named = byKey(meta, pk);
  if (!named) return undefined;
  const where = { $and: [named, await consumer['visibleRows'](context)] };
  return (await em.findOne(modelOf(consumer), where as never)) ?? undefined;
}

/** As events are shown, which know of no request. */
async function show(consumer: AnyModelConsumer, row: object, { serializer, ...viewer }: Viewer): Promise<unknown> {
  if (!serializer) return undefined;
  const rights = await viewer.rights();
  const { container } = consumer['scope'];
  const [data] = await serializeAll(serializer, [row], {
    unitOfWork: consumer['unitOfWork'],
    resolve: (provider) => container.resolve(provider),
    ...(rights && { rights }),
  });
  return data;
}
