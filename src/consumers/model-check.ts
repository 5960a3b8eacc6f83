import type { EntityMetadata } from '@mikro-orm/core';
import { checkHasRules } from '../decorators/action.js';
import { ConfigurationError } from '../errors.js';
import { type AnyFilterOptions, filtersOf, operatorsOf } from '../filters/model-filters.js';
import { isStandardSchema } from '../kwargs/kwargs-checker.js';
import { checkTransformer } from '../kwargs/transformer-copies.js';
import type { Class } from '../metadata.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import { type ModelPath, pathOf } from '../orm/model-paths.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { unknownEntity } from '../orm/unknown-entity.js';
import { CursorPaginator } from '../paginators/cursor-paginator.js';
import { Keyset } from '../paginators/model-keyset.js';
import type { PaginatorClass } from '../paginators/paginator.js';
import { declaredBy } from '../serializers/model-serializer.js';
import type { DeclaredOptions } from '../serializers/model-types.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { bulkWriteIn } from './model-bulk.js';
import { BaseModelConsumer, settingsOf } from './model-consumer.js';
import { plainWriteIn } from './model-mixins.js';
import { followsRows } from './model-observe-rows.js';

/**
 * @throws ConfigurationError for a model or an observed entity that MikroORM does not know, and for options of a model consumer that name
 * something which its model does not have
 */
export function checkModelConsumer(consumer: Class, unitOfWork: UnitOfWork): void {
  for (const [member, { model }] of observerDeclarations.read(consumer)) {
    const observed = model?.();
    if (observed && !unitOfWork.knows(observed))
      throw unknownEntity(`${consumer.name}.${member}`, 'observes', observed);
  }
  if (!(consumer.prototype instanceof BaseModelConsumer)) return;
  const { model, filters, lookupField, paginator, serializer } = settingsOf(consumer.prototype);
  if (!unitOfWork.knows(model)) throw unknownEntity(consumer.name, 'is a consumer of', model);
  const meta = unitOfWork.of(model).em.getMetadata(model as never) as EntityMetadata;
  if (filters) {
    const { followedNames } = filtersOf(meta, filters);
    if (followsRows(consumer) && followedNames.length === 0) throw followsNothing(consumer);
    if (isByCursor(paginator)) for (const name of filters.ordering ?? []) new Keyset(meta, { [name]: 'asc' });
    checkFiltersShow(consumer, serializer, meta, filters);
    checkOwnKwargs(consumer, filters);
  }
  if (meta.view || meta.virtual || meta.expression) refuseWrites(consumer, meta);
  checkUnrestricted(consumer, serializer, lookupField);
  if (lookupField === 'pk' || meta.props.some(({ name, kind }) => name === lookupField && kind === 'scalar')) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: lookupField,
    reason: `is the lookupField, but not a column of ${meta.className}.`,
    remedy: 'Name a column whose values are unique.',
  });
}

function followsNothing(consumer: Class): ConfigurationError {
  return new ConfigurationError({
    class: consumer.name,
    member: 'subscribeRows',
    reason: 'follows rows by filters, but all of them lead through relations, whose changes no subscription receives.',
    remedy: 'Declare a column of the row in filters.fields, or leave ObserveRows out.',
  });
}

/** Refuses writes to a view, which MikroORM would silently not write. */
function refuseWrites(consumer: Class, { className }: EntityMetadata): void {
  const writing = plainWriteIn(consumer) ?? bulkWriteIn(consumer);
  if (writing === undefined) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: writing,
    reason: `would write ${className}, which is a view, but MikroORM writes nothing to views.`,
    remedy: `Leave the mixin out, or write the action ${writing} yourself.`,
  });
}

function checkOwnKwargs(consumer: Class, { kwargs, backends = [] }: AnyFilterOptions): void {
  const declared = [{ owner: consumer, kwargs }, ...backends.map((owner) => ({ owner, kwargs: owner.kwargs }))];
  for (const { owner, kwargs: schema } of declared) {
    if (!schema || isStandardSchema(schema)) continue;
    checkTransformer(schema);
    checkHasRules(owner.prototype as object, 'filterQuery', schema);
  }
}

/** Whether lists are ordered by a cursor, which contains the values of the order. */
function isByCursor(paginator: PaginatorClass | undefined): boolean {
  return paginator === CursorPaginator || paginator?.prototype instanceof CursorPaginator;
}

/** Refuses filters by secret columns: a client that may filter or order rows by a value can find out that value. */
function checkFiltersShow(
  consumer: Class,
  serializer: SerializerClass,
  meta: EntityMetadata,
  { fields = [], ordering = [], search = [] }: AnyFilterOptions,
): void {
  for (const name of [...operatorsOf(fields).map(([field]) => field), ...ordering, ...search]) {
    const path = pathOf(meta, name);
    const secrecy = path && secrecyOf(path, serializer);
    if (secrecy) throw secret(consumer, name, secrecy);
  }
}

function checkUnrestricted(consumer: Class, serializer: SerializerClass, lookupField: string): void {
  const secrecy = declaredBy(serializer) && restriction(serializer, lookupField);
  if (secrecy) throw secret(consumer, lookupField, secrecy);
}

/** Why not every client may know the values of a path. For relations that no serializer nests, the entity decides. */
function secrecyOf({ steps, last }: ModelPath, serializer: SerializerClass): string | undefined {
  let shownBy: SerializerClass | undefined = serializer;
  for (const { name, hidden } of [...steps, last]) {
    if (hidden) return 'is hidden';
    const options: DeclaredOptions | undefined = shownBy && declaredBy(shownBy)?.options;
    if (shownBy && options?.writeOnly?.includes(name)) return `is write-only, by ${shownBy.name}`;
    const restricted = shownBy && restriction(shownBy, name);
    if (restricted) return restricted;
    shownBy = options?.nested?.[name];
  }
  return undefined;
}

function restriction(serializer: SerializerClass, name: string): string | undefined {
  const { rights } = declaredBy(serializer)?.options ?? {};
  return rights && Object.hasOwn(rights.fields, name) ? 'is only shown with a right' : undefined;
}

function secret(consumer: Class, member: string, secrecy: string): ConfigurationError {
  return new ConfigurationError({
    class: consumer.name,
    member,
    reason: `${secrecy}, but every client could find it out by filters, order, search or lookup.`,
    remedy: 'Remove it from them, and let filterQuery decide which clients may ask for it.',
  });
}
