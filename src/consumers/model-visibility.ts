import type { EntityMetadata } from '@mikro-orm/core';
import { declaredActions } from '../dispatch/actions.js';
import { ActionReply } from '../dispatch/reply.js';
import type { Class } from '../metadata.js';
import type { ObservedEvent, Sight, Viewer, Visibility } from '../observers/observer-declaration.js';
import { asStored } from '../orm/model-queries.js';
import type { StoredRow } from '../orm/row.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { GivenRights } from '../permissions/permission.js';
import { ActionContext } from '../scope/action-context.js';
import { everyRights, rightsIn } from '../serializers/field-rights.js';
import { byKey } from '../serializers/model-key.js';
import type { PlannedRows } from '../serializers/model-plan.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { showsByRequest } from '../serializers/shows-by-request.js';
import { encodeData } from '../wire/codec.js';
import {
  type AnyModelConsumer,
  modelOf,
  narrowingOf,
  overrides,
  planFor,
  readPlanned,
  settingsOf,
} from './model-consumer.js';
import { isPlainRetrieve } from './model-mixins.js';
import { showResult } from './model-result.js';
import { isRefusal } from './subscription-authorizer.js';

type RetrieveMethod = (row: object, request: ActionContext) => unknown;

const retrieve = 'retrieve';

/** The rows that a subscription heard leave, by their keys. */
const heardLeave = new WeakMap<object, Set<string>>();

/**
 * The rows that are visible to a connection are those of its consumer's query that no permission refuses. Leaving them looks
 * like a delete, coming back like a create; what happens to a row outside of them makes no event. A visible row is shown as
 * `retrieve` would show it to this client now.
 */
export function visibilityOf(consumer: Class): Visibility {
  const isNarrowed = narrowingOf(consumer) !== undefined || overrides(consumer, 'getObject');
  const isReadAgain = isNarrowed || showsItsOwn(consumer);
  return {
    isNarrowed,
    isLookedAt: isReadAgain || overrides(consumer, 'getSerializer'),
    isFiltered: filtered(),
    look: (instance, event, viewer) => look(instance as AnyModelConsumer, event, viewer, isReadAgain),
    rowOf: (instance, kwargs, context) => rowOf(instance as AnyModelConsumer, kwargs, context, isNarrowed),
  };
}

/**
 * The same where subscriptions ask for any rows, so that no book is kept of what each has seen: a row comes into sight where it was out of
 * sight before the change, and is out of sight where it is so now.
 */
export function visibilityOfRows(consumer: Class): Visibility {
  const { isNarrowed, isFiltered, rowOf: rowOfKey } = visibilityOf(consumer);
  const isReadAgain = isNarrowed || showsItsOwn(consumer);
  return {
    isNarrowed,
    isLookedAt: true,
    isFiltered,
    look: (instance, event, viewer) => lookAtAny(instance as AnyModelConsumer, event, viewer, isNarrowed, isReadAgain),
    rowOf: async (instance, kwargs, context) =>
      Object.hasOwn(kwargs as object, 'pk') ? rowOfKey(instance, kwargs, context) : undefined,
  };
}

async function lookAtAny(
  consumer: AnyModelConsumer,
  event: ObservedEvent,
  viewer: Viewer,
  isNarrowed: boolean,
  isReadAgain: boolean,
): Promise<Sight> {
  const { action, pk } = event;
  const hasFilters = await hidesByDefault(consumer);
  const { before, after } = viewer.change ?? {};
  const isSeenIn = (row: StoredRow | undefined): Promise<boolean | undefined> =>
    isVisible(consumer, viewer, row, isNarrowed || hasFilters);
  const note = (): void => {};
  const wasSeen = action === 'create' ? false : await isSeenIn(before);
  const isSeen = action === 'delete' ? false : await isSeenIn(after);
  // Of a row that may never have been in sight not even the key is sent.
  if (isSeen === false)
    return wasSeen
      ? { event: { action: 'delete', pk, data: { pk } }, isRefused: false, note }
      : { isRefused: false, note };
  const shown = await shownOf(consumer, event, viewer, isReadAgain || hasFilters);
  // A later change has hidden it, and is sent as what it was.
  if (!shown || shown.isRefused) return { isRefused: false, note };
  const seen = { action: wasSeen === false ? ('create' as const) : action, pk, data: shown.data };
  return { event: seen, isRefused: false, note };
}

/** Only MikroORM knows the filters that were added to an entity manager, and says so later: until then there may be one. */
function filtered(): Visibility['isFiltered'] {
  let known: boolean | undefined;
  return (instance) => {
    if (known !== undefined) return known;
    const consumer = instance as AnyModelConsumer;
    const { em, queries } = consumer['unitOfWork'];
    known = true;
    void queries.isFiltered(em, em.getMetadata(modelOf(consumer)) as EntityMetadata).then((isFiltered) => {
      known = isFiltered;
    });
    return known;
  };
}

function hidesByDefault(consumer: AnyModelConsumer): Promise<boolean> {
  const { queries, reader } = consumer['unitOfWork'];
  return queries.hasFilters(reader, [reader.em.getMetadata(modelOf(consumer)) as EntityMetadata]);
}

/**
 * Whether the row was visible before the change, or was by it, by the query and the permissions of now. Undefined where the query cannot be
 * asked of a row that is not stored any more.
 */
async function isVisible(
  consumer: AnyModelConsumer,
  { change, context, isJudged, maySee }: Viewer,
  row: StoredRow | undefined,
  isNarrowed: boolean,
): Promise<boolean | undefined> {
  if (!change || !row) return false;
  const { meta, schema, entity } = change;
  const unitOfWork: UnitOfWork = consumer['unitOfWork'];
  if (isNarrowed && overrides(consumer.constructor as Class, 'getObject')) return undefined;
  const where = isNarrowed ? await consumer['visibleRows'](context) : {};
  const isInQuery = isNarrowed ? await unitOfWork.queries.matches(unitOfWork.reader, meta, row, where as object) : true;
  if (!isInQuery || !isJudged) return isInQuery;
  return unitOfWork.of(entity).runWith(meta, row, schema, (logged) => maySee(logged.entity));
}

/** Whether what its clients see of a row says more than the columns that were committed. */
function showsItsOwn(consumer: Class): boolean {
  const { serializer } = settingsOf(consumer.prototype);
  return (
    ownRetrieve(consumer) !== undefined || overrides(consumer, 'getSerializerContext') || showsByRequest(serializer)
  );
}

function ownRetrieve(consumer: Class): RetrieveMethod | undefined {
  const method: RetrieveMethod | undefined = Reflect.get(consumer.prototype, retrieve);
  return method && !isPlainRetrieve(method) ? method : undefined;
}

/**
 * A row that is read again is judged as it is by now, and so that is what is shown of it: as it was, it might have been hidden.
 * Where nothing asks for the row, the event stays what it is.
 */
async function look(
  consumer: AnyModelConsumer,
  event: ObservedEvent,
  viewer: Viewer,
  isReadAgain: boolean,
): Promise<Sight> {
  const { action, pk } = event;
  const gone = goneFor(viewer);
  const key = encodeData(pk);
  const wasGone = gone.has(key);
  const mustRead = isReadAgain || (await hidesByDefault(consumer));
  const shown = action === 'delete' ? undefined : await shownOf(consumer, event, viewer, mustRead);
  const isRefused = shown?.isRefused === true;
  if (shown && !isRefused) {
    const seen = { action: wasGone ? ('create' as const) : action, pk, data: shown.data };
    return { event: seen, isRefused, note: () => gone.delete(key) };
  }
  // A row that is deleted may be there again, under the same key, and is then a new one.
  const note = (): unknown => gone.add(key);
  return wasGone ? { isRefused, note } : { event: { action: 'delete', pk, data: { pk } }, isRefused, note };
}

/** What of a row may be sent; undefined where it is not there, or not for this client. The permissions are asked last: all that was read is older. */
async function shownOf(
  consumer: AnyModelConsumer,
  { pk, data }: ObservedEvent,
  viewer: Viewer,
  isReadAgain: boolean,
): Promise<{ readonly data: unknown; readonly isRefused: boolean } | undefined> {
  const request = retrieving(viewer);
  if (!isReadAgain && !viewer.isJudged && consumer['getSerializer'](request) === viewer.serializer)
    return { data, isRefused: false };
  if (showsPlainly(consumer, request, viewer)) {
    const planned = await planFor(consumer, request);
    if (planned) return plainlyShown(consumer, planned, pk, viewer);
  }
  const row = await visibleRow(consumer, pk, viewer.context);
  if (!row) return undefined;
  try {
    const seen = await show(consumer, row, request, viewer);
    consumer['unitOfWork'].forget();
    return { data: seen, isRefused: !(await viewer.maySee(row)) };
  } catch (error) {
    // An overridden `retrieve` may refuse a row as it does for requests.
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}

/** Whether nothing looks at the row but the consumer's query and its serializer. Rights have to be asked behind the read. */
function showsPlainly(consumer: AnyModelConsumer, request: ActionContext, { isJudged }: Viewer): boolean {
  if (rightsIn(consumer['getSerializer'](request)).size > 0) return false;
  const type = consumer.constructor as Class;
  const reply = declaredActions(type).get(retrieve)?.reply;
  return !isJudged && !reply && !ownRetrieve(type) && !overrides(type, 'getObject');
}

async function plainlyShown(
  consumer: AnyModelConsumer,
  planned: PlannedRows,
  pk: unknown,
  { context }: Viewer,
): Promise<{ readonly data: unknown; readonly isRefused: boolean } | undefined> {
  const named = byKey(consumer['unitOfWork'].em.getMetadata(modelOf(consumer)) as EntityMetadata, pk);
  if (!named) return undefined;
  const where = { $and: [named, await consumer['visibleRows'](context)] };
  const [row] = await readPlanned(consumer, planned, { where, limit: 1 });
  return row && { data: row.data, isRefused: false };
}

/** A row that is there and that the query leaves out is hidden. */
async function rowOf(
  consumer: AnyModelConsumer,
  kwargs: unknown,
  context: ActionContext,
  isNarrowed: boolean,
): Promise<object | 'hidden' | undefined> {
  const { pk } = kwargs as { readonly pk: unknown };
  const row = await visibleRow(consumer, pk, context);
  if (row || !(isNarrowed || (await hidesByDefault(consumer)))) return row;
  return (await find(consumer, pk, {}, { filters: false })) ? 'hidden' : undefined;
}

function goneFor({ subscription }: Viewer): Set<string> {
  const gone = heardLeave.get(subscription) ?? new Set();
  heardLeave.set(subscription, gone);
  return gone;
}

/** By primary key, whatever clients name rows by; through `getObject` where that is the consumer's own and takes keys. */
async function visibleRow(
  consumer: AnyModelConsumer,
  pk: unknown,
  context: ActionContext,
): Promise<object | undefined> {
  const { lookupField } = settingsOf(consumer);
  if (lookupField !== 'pk' || !overrides(consumer.constructor as Class, 'getObject'))
    return find(consumer, pk, await consumer['visibleRows'](context));
  try {
    return await consumer['getObject'](pk, context);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}

async function find(
  consumer: AnyModelConsumer,
  pk: unknown,
  query: object,
  options: { readonly filters?: false } = {},
): Promise<object | undefined> {
  const { em } = consumer['unitOfWork'];
  const named = byKey(em.getMetadata(modelOf(consumer)) as EntityMetadata, pk);
  if (!named) return undefined;
  const where = { $and: [named, query] } as never;
  return (await em.findOne(modelOf(consumer), where, { ...asStored, ...options })) ?? undefined;
}

/** The request by which the client would read the row, with what it sent when it subscribed. */
function retrieving({ context: { scope, requestId, kwargs } }: Viewer): ActionContext {
  return new ActionContext({ scope, action: retrieve, requestId, kwargs, isDelivery: true });
}

async function show(consumer: AnyModelConsumer, row: object, request: ActionContext, viewer: Viewer): Promise<unknown> {
  const type = consumer.constructor as Class;
  const own = ownRetrieve(type);
  const returned = own ? await own.call(consumer, row, request) : row;
  const isReply = returned instanceof ActionReply;
  const rights = await rightsOf(viewer);
  return showResult(isReply ? returned.data : returned, {
    reply: (isReply ? returned.serializer : undefined) ?? declaredActions(type).get(retrieve)?.reply,
    model: { entity: modelOf(consumer), serializer: consumer['getSerializer'](request) },
    context: { ...consumer['getSerializerContext'](request), ...(rights && { rights }) },
  });
}

/**
 * If the rights of the viewer are not known, the event's serializer shows only the fields that need none. Another serializer asks the
 * request for its rights.
 */
async function rightsOf({ serializer, rights }: Viewer): Promise<GivenRights | undefined> {
  return (await rights()) ?? (serializer && leastOf(serializer));
}

function leastOf(serializer: SerializerClass): GivenRights | undefined {
  return everyRights(serializer)[0];
}
