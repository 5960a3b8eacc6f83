import type { EntityMetadata } from '@mikro-orm/core';
import { declaredActions } from '../dispatch/actions.js';
import { ActionReply } from '../dispatch/reply.js';
import type { Class } from '../metadata.js';
import type { ObservedEvent, Viewer, Visibility, VisibleEvent } from '../observers/observer-declaration.js';
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

/** For each subscription, the keys of the rows whose leaving it was sent. */
const outOfSight = new WeakMap<object, Set<string>>();

/**
 * Which rows a connection may see: the rows of its consumer's query that no permission refuses. Leaving them looks like a delete, coming
 * back like a create; changes of other rows make no events. A visible row is shown as `retrieve` would show it to this client now.
 */
export function visibilityOf(consumer: Class): Visibility {
  const isNarrowed = narrowingOf(consumer) !== undefined || overrides(consumer, 'getObject');
  const isReadAgain = isNarrowed || showsItsOwn(consumer);
  return {
    isNarrowed,
    isAlwaysChecked: isReadAgain || overrides(consumer, 'getSerializer'),
    isFiltered: filtered(),
    visibleEvent: (instance, event, viewer) => visibleEvent(instance as AnyModelConsumer, event, viewer, isReadAgain),
    rowOf: (instance, kwargs, context) => rowOf(instance as AnyModelConsumer, kwargs, context, isNarrowed),
  };
}

/**
 * Visibility for subscriptions to any rows, without a record of the rows that each has seen: a row comes into sight if it was out of sight
 * before the change, and leaves if it is out of sight now.
 */
export function visibilityOfRows(consumer: Class): Visibility {
  const { isNarrowed, isFiltered, rowOf: rowOfKey } = visibilityOf(consumer);
  const isReadAgain = isNarrowed || showsItsOwn(consumer);
  return {
    isNarrowed,
    isAlwaysChecked: true,
    isFiltered,
    visibleEvent: (instance, event, viewer) =>
      visibleEventOfAny(instance as AnyModelConsumer, event, viewer, isNarrowed, isReadAgain),
    rowOf: async (instance, kwargs, context) =>
      Object.hasOwn(kwargs as object, 'pk') ? rowOfKey(instance, kwargs, context) : undefined,
  };
}

async function visibleEventOfAny(
  consumer: AnyModelConsumer,
  event: ObservedEvent,
  viewer: Viewer,
  isNarrowed: boolean,
  isReadAgain: boolean,
): Promise<VisibleEvent> {
  const { action, pk } = event;
  const hasFilters = await hidesByDefault(consumer);
  const { before, after } = viewer.change ?? {};
  const isSeenIn = (row: StoredRow | undefined): Promise<boolean | undefined> =>
    isVisible(consumer, viewer, row, isNarrowed || hasFilters);
  const note = (): void => {};
  const wasSeen = action === 'create' ? false : await isSeenIn(before);
  const isSeen = action === 'delete' ? false : await isSeenIn(after);
  // A row that may never have been in sight is not sent at all, not even its key.
  if (isSeen === false)
    return wasSeen
      ? { event: { action: 'delete', pk, data: { pk } }, isRefused: false, note }
      : { isRefused: false, note };
  const shown = await shownOf(consumer, event, viewer, isReadAgain || hasFilters);
  // A later change has hidden the row, and will be sent with its own meaning.
  if (!shown || shown.isRefused) return { isRefused: false, note };
  const seen = { action: wasSeen === false ? ('create' as const) : action, pk, data: shown.data };
  return { event: seen, isRefused: false, note };
}

/**
 * Whether the ORM has default filters. Only MikroORM knows filters that were added to an entity manager, and reports them later: until then
 * there may be one.
 */
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
 * Whether the row was visible before the change, or is after it, by the current query and permissions. Undefined if the query cannot be
 * applied to a row that is no longer stored.
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

/** Whether clients see more of a row than its committed columns. */
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
 * Returns what a subscription receives of an event. A row that is read again is judged and shown as it is now, because its former state
 * might have been hidden. If nothing needs the row, the event stays unchanged.
 */
async function visibleEvent(
  consumer: AnyModelConsumer,
  event: ObservedEvent,
  viewer: Viewer,
  isReadAgain: boolean,
): Promise<VisibleEvent> {
  const { action, pk } = event;
  const gone = rowsOutOfSight(viewer);
  const key = encodeData(pk);
  const wasGone = gone.has(key);
  const mustRead = isReadAgain || (await hidesByDefault(consumer));
  const shown = action === 'delete' ? undefined : await shownOf(consumer, event, viewer, mustRead);
  const isRefused = shown?.isRefused === true;
  if (shown && !isRefused) {
    const seen = { action: wasGone ? ('create' as const) : action, pk, data: shown.data };
    return { event: seen, isRefused, note: () => gone.delete(key) };
  }
  // A deleted row may be there again, under its key, as a new row.
  const note = (): unknown => gone.add(key);
  return wasGone ? { isRefused, note } : { event: { action: 'delete', pk, data: { pk } }, isRefused, note };
}

/**
 * Returns the part of a row that may be sent; undefined if it is gone, or hidden from this client. The permissions are asked last, after
 * everything was read.
 */
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
    // An overridden `retrieve` may refuse a row, as it does for requests.
    if (!isRefusal(error)) throw error;
    return undefined;
  }
}

/** Whether only the consumer's query and its serializer use the row. Rights have to be asked after the read. */
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

/** The subscribed row; `hidden` if it exists, but the query leaves it out. */
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

function rowsOutOfSight({ subscription }: Viewer): Set<string> {
  const gone = outOfSight.get(subscription) ?? new Set();
  outOfSight.set(subscription, gone);
  return gone;
}

/**
 * The visible row by its primary key, whichever way clients name rows; through `getObject` if the consumer overrides it and it takes keys.
 */
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

/** The request with which the client would read the row, with the kwargs of its subscription. */
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
 * The rights for showing the row. If the viewer's rights are not known, the event's serializer shows only fields that need none. Another
 * serializer asks for the request's rights.
 */
async function rightsOf({ serializer, rights }: Viewer): Promise<GivenRights | undefined> {
  return (await rights()) ?? (serializer && leastOf(serializer));
}

function leastOf(serializer: SerializerClass): GivenRights | undefined {
  return everyRights(serializer)[0];
}
