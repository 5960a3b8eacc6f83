import type { EntityMetadata, FilterQuery } from '@mikro-orm/core';
import type { ModelConsumerTypes, modelConsumerTypes } from '../dispatch/actions.js';
import { ConfigurationError, Conflict, NotFound, ValidationFailed } from '../errors.js';
import type { OwnFilterKwargs } from '../filters/filter-types.js';
import { FilterBackend } from '../filters/model-filter-backend.js';
import { type AnyFilterOptions, filtersOf } from '../filters/model-filters.js';
import { conditionOf, relatedTo } from '../filters/model-row-filter.js';
import type { Class, ConcreteClass } from '../metadata.js';
import type { ModelOrder } from '../orm/model-paths.js';
import { asStored, type ModelQuery } from '../orm/model-queries.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { ModelPageSource } from '../paginators/model-page-source.js';
import type { PaginatorClass } from '../paginators/paginator.js';
import type { ActionContext } from '../scope/action-context.js';
import { askRights, rightsIn } from '../serializers/field-rights.js';
import { byColumn, byKey, ofKey, showColumn, showKey } from '../serializers/model-key.js';
import { needsEntity, type PlannedRows, planRows, type ShownRow, showPlanned } from '../serializers/model-plan.js';
import type { DataOf, EntityOf, RowData, SerializerLike } from '../serializers/model-types.js';
import { withOneOfEach } from '../serializers/serialize.js';
import type { AnySerializer, Serializer, SerializerClass, SerializerContext } from '../serializers/serializer.js';
import { ApiConsumer, boundSession } from './api-consumer.js';
import type { AnyModelOptions, ModelConsumerOptions, SoundOptions, TraitsOf } from './model-options.js';

/** A serializer that can also write. */
export interface WritingSerializer<Entity, S> extends AnySerializer {
  /**
   * Checks the `data` of a client.
   *
   * @param options `partial`: if true, missing fields stay as they are. Default: false
   * @throws ValidationFailed with the texts of each field
   */
  validate(raw: unknown, context: SerializerContext, options?: { partial?: boolean }): Promise<DataOf<S>>;
  /**
   * Makes the entity. The next flush writes it.
   *
   * @param data the validated data, and fields that the application sets
   */
  create(data: DataOf<S> | RowData<Entity>, context: SerializerContext): Promise<Entity>;
  /**
   * Assigns the data to the entity. The next flush writes them.
   *
   * @param data the validated data, and fields that the application sets
   * @throws OptimisticLockError (409 to the client) if the data have an older version than the row
   */
  update(entity: Entity, data: DataOf<S> | RowData<Entity>, context: SerializerContext): Promise<Entity>;
}

/**
 * The parameters of `performCreate`, so that an override needs only one annotation:
 *
 * ```ts
 * protected override performCreate(...[serializer, data, context]: PerformCreate<RoomSerializer>) {
 *   return super.performCreate(serializer, { ...data, host: this.user }, context);
 * }
 * ```
 */
export type PerformCreate<S extends SerializerLike> = [
  serializer: WritingSerializer<EntityOf<S>, S>,
  data: DataOf<S>,
  context: ActionContext,
];

/** The parameters of `performUpdate` and of `performPatch`. */
export type PerformUpdate<S extends SerializerLike> = [
  serializer: WritingSerializer<EntityOf<S>, S>,
  entity: EntityOf<S>,
  data: DataOf<S>,
  context: ActionContext,
];

/** The parameters of `performDelete`. */
export type PerformDelete<S extends SerializerLike> = [entity: EntityOf<S>, context: ActionContext];

/** The kwargs of `filterQuery`: those that the options declare, in `list`; none in other actions. */
export type QueryKwargs<Options extends AnyModelOptions> = Options extends { readonly filters: infer Filters }
  ? Partial<OwnFilterKwargs<Filters>>
  : object;

const usualBulkSize = 100;

/** The base class of `ModelConsumer(Entity, options)`. It has no actions; mixins add them. */
export abstract class BaseModelConsumer<Entity extends object, Options extends AnyModelOptions>
  extends ApiConsumer
  implements ModelConsumerTypes<Entity, Options['serializer']>
{
  declare readonly [modelConsumerTypes]: {
    readonly model: Entity;
    readonly serializer: Options['serializer'];
    readonly traits: TraitsOf<Options>;
  };
  /** The entity that was passed to `ModelConsumer`. */
  static readonly model: ConcreteClass<object>;
  /** The option `serializer`. */
  static readonly serializer: SerializerClass;
  /** The option `paginator`. */
  static readonly paginator: PaginatorClass | undefined;
  /** The option `filters`. */
  static readonly filters: AnyFilterOptions | undefined;
  /** The option `lookupField`. Default: `pk`, the key of the entity. */
  static readonly lookupField: string = 'pk';
  /** The option `lookupUrlKwarg`. Default: the name of the lookup field. */
  static readonly lookupUrlKwarg: string = 'pk';
  /** The option `maximumBulkSize`. Default: 100 rows. */
  static readonly maximumBulkSize: number = usualBulkSize;

  /** The condition for the rows that exist for this consumer. Default: every row. */
  protected getQuery(_context: ActionContext): FilterQuery<Entity> | Promise<FilterQuery<Entity>> {
    return {} as FilterQuery<Entity>;
  }

  /**
   * Narrows the query by the client's kwargs. Default: not at all.
   *
   * @param kwargs in `list`, the kwargs that `filters.kwargs` declares
   */
  protected filterQuery(
    query: FilterQuery<Entity>,
    _context: ActionContext,
    _kwargs?: QueryKwargs<Options>,
  ): FilterQuery<Entity> | Promise<FilterQuery<Entity>> {
    return query;
  }

  /**
   * The row that the client named by `pk`, or by the consumer's `lookupField`.
   *
   * @throws ValidationFailed if the client named none
   * @throws NotFound if it is not among the rows of the query
   * @throws Conflict if several of them have the value
   */
  protected async getObject(key: unknown, context: ActionContext): Promise<Entity> {
    const { where, limit } = await queryOfOne(this, namedRow(this, this.#meta, key), context);
    return onlyOne(
      this,
      await this.unitOfWork.em.find(modelOf(this), where as never, { limit, ...asStored }),
    ) as Entity;
  }

  /**
   * The order of lists: properties, or paths through relations such as `author.name`, the most significant first. Default: by key, so that
   * two lists of the same rows are equal.
   */
  protected getOrder(_context: ActionContext): ModelOrder {
    return Object.fromEntries(this.#meta.primaryKeys.map((name) => [name, 'asc' as const]));
  }

  /** The serializer of an action. Default: the consumer's. */
  protected getSerializer(_context: ActionContext): SerializerClass<Serializer<Entity>> {
    return settingsOf(this).serializer as SerializerClass<Serializer<Entity>>;
  }

  /** The context of serializers. */
  protected getSerializerContext(request: ActionContext): SerializerContext {
    const { settings, logger, scope, unitOfWork } = this[boundSession];
    const { container } = scope;
    const noteDropped = (serializer: string, dropped: readonly string[]): void =>
      logger.debug('Keys that the serializer does not accept were dropped.', {
        action: request.action,
        serializer,
        dropped,
      });
    return {
      unitOfWork,
      request,
      consumer: this,
      ...(settings.development && { noteDropped }),
      resolve: (serializer) => container.resolve(serializer),
    };
  }

  /**
   * Writes a new row. Override it to set fields that the client may not set: see PerformCreate.
   *
   * @param data the validated data, and fields that an override sets
   */
  protected performCreate(
    serializer: WritingSerializer<Entity, Options['serializer']>,
    data: DataOf<Options['serializer']> | RowData<Entity>,
    context: ActionContext,
  ): Promise<Entity> {
    return serializer.create(data, this.getSerializerContext(context));
  }

  /**
   * Writes an existing row, for `update`, and for `patch` unless performPatch is overridden. Override it to set fields that the client may
   * not set: see PerformUpdate.
   *
   * @param entity the row from getObject, which the permissions have allowed
   * @param data the validated data, and fields that an override sets
   */
  protected performUpdate(
    serializer: WritingSerializer<Entity, Options['serializer']>,
    entity: Entity,
    data: DataOf<Options['serializer']> | RowData<Entity>,
    context: ActionContext,
  ): Promise<Entity> {
    return serializer.update(entity, data, this.getSerializerContext(context));
  }

  /** Writes an existing row for `patch`. Default: calls performUpdate. */
  protected performPatch(
    serializer: WritingSerializer<Entity, Options['serializer']>,
    entity: Entity,
    data: DataOf<Options['serializer']> | RowData<Entity>,
    context: ActionContext,
  ): Promise<Entity> {
    return this.performUpdate(serializer, entity, data, context);
  }

  /**
   * Removes a row, for `delete`; the next flush deletes it. Override it to do something else, such as marking the row: see PerformDelete.
   *
   * @param entity the row from getObject, which the permissions have allowed
   */
  protected async performDelete(entity: Entity, _context: ActionContext): Promise<void> {
    this.unitOfWork.em.remove(entity);
  }

  /** The entity manager of this action, and its queries. */
  protected get unitOfWork(): UnitOfWork {
    return this[boundSession].unitOfWork;
  }

  /** The query of the consumer, narrowed by filterQuery and by its backends. */
  protected async visibleRows(context: ActionContext, kwargs: object = {}): Promise<FilterQuery<Entity>> {
    let query = await this.filterQuery(await this.getQuery(context), context, kwargs as QueryKwargs<Options>);
    for (const backend of backendsOf(this)) {
      const provider = this.scope.container.resolve(backend) as FilterBackend<Entity>;
      query = await provider.filterQuery(query, context, kwargs);
    }
    return query;
  }

  /**
   * The rows of `list`: the query, narrowed by the client's filters, in the client's order or else in that of getOrder.
   *
   * @param kwargs the client's kwargs
   * @throws ValidationFailed for filters that the consumer does not have, and for invalid values
   */
  protected async rows(kwargs: object, context: ActionContext): Promise<ModelPageSource> {
    const filters = filtersOf(this.#meta, settingsOf(this).filters ?? noFilters);
    const asked = kwargs as Readonly<Record<string, unknown>>;
    const filter = filters.filter(asked);
    const { queries, reader } = this.unitOfWork;
    const narrowed = conditionOf(filter, await queries.filtersOf(reader, relatedTo(filter)));
    const order: Record<string, 'asc' | 'desc'> = { ...filters.order(asked) };
    for (const [name, direction] of Object.entries(this.getOrder(context))) order[name] ??= direction;
    const where = { $and: [await this.visibleRows(context, kwargs), narrowed] };
    return new ModelPageSource({ unitOfWork: this.unitOfWork, model: modelOf(this), where, order });
  }

  /** An instance of the serializer that getSerializer names for this action, for performCreate, performUpdate and performPatch. */
  protected writingSerializer(context: ActionContext): WritingSerializer<Entity, Options['serializer']> {
    return this.getSerializerContext(context).resolve(this.getSerializer(context)) as WritingSerializer<
      Entity,
      Options['serializer']
    >;
  }

  get #meta(): EntityMetadata {
    return this.unitOfWork.em.getMetadata(modelOf(this)) as EntityMetadata;
  }
}

/**
 * The condition for the row that a client named.
 *
 * @throws ValidationFailed if the client named none
 * @throws NotFound if no row can have this key
 */
function namedRow(consumer: object, meta: EntityMetadata, key: unknown): object {
  const { lookupField, lookupUrlKwarg } = settingsOf(consumer);
  if (key === undefined) throw ValidationFailed.of({ [lookupUrlKwarg]: ['This field is required.'] });
  const named = lookupField === 'pk' ? byKey(meta, key) : byColumn(meta, lookupField, key);
  if (!named) throw new NotFound();
  return named;
}

interface QueryOfOne extends ModelQuery {
  readonly limit: number;
}

/**
 * The query for the one row that a client named. A key belongs to one row; for another column, a second row shows that the value is not
 * unique.
 *
 * @param named the result of `namedRow`
 */
function queryOfOne(
  consumer: AnyModelConsumer,
  named: object,
  context: ActionContext,
): QueryOfOne | Promise<QueryOfOne> {
  const limit = settingsOf(consumer).lookupField === 'pk' ? 1 : 2;
  if (!narrowsRows(consumer)) return { where: named, limit };
  return consumer['visibleRows'](context).then((visible) => ({ where: { $and: [named, visible] }, limit }));
}

/** Whether the consumer may leave out rows of its model. */
function narrowsRows(consumer: AnyModelConsumer): boolean {
  const { prototype } = BaseModelConsumer;
  const isOwn = (['getQuery', 'filterQuery', 'visibleRows'] as const).some(
    (name) => consumer[name] !== prototype[name],
  );
  return isOwn || backendsOf(consumer).length > 0;
}

/** @throws NotFound, Conflict */
function onlyOne<Row>(consumer: object, [found, other]: readonly Row[]): Row {
  if (found === undefined) throw new NotFound();
  if (other !== undefined) throw new Conflict(`Several objects have this ${settingsOf(consumer).lookupField}.`);
  return found;
}

/**
 * How the consumer's rows are shown to a request without entities; undefined if its serializer, or a member that the application has
 * overridden, needs entities.
 */
export async function planFor(consumer: AnyModelConsumer, request: ActionContext): Promise<PlannedRows | undefined> {
  const unitOfWork: UnitOfWork = consumer['unitOfWork'];
  if (overrides(consumer.constructor as Class, 'getSerializerContext')) return undefined;
  const serializer = consumer['getSerializer'](request);
  const context = consumer['getSerializerContext'](request);
  const rights = rightsIn(serializer).size === 0 ? undefined : await askRights(serializer, context);
  const plan = await planRows(serializer, unitOfWork, rights);
  if (needsEntity(plan) || plan.selection.meta.class !== modelOf(consumer)) return undefined;
  if (plan.related.length > 0 && (await unitOfWork.queries.hasFilters(unitOfWork.reader, plan.related)))
    return undefined;
  const shared = plan.runsCode ? withOneOfEach(context) : context;
  return { plan, context: rights ? { ...shared, rights } : shared };
}

/**
 * The row that a client named, shown without an entity; undefined if an entity is needed.
 *
 * @param checked the result of `checkedKey`
 * @throws as `getObject` does
 */
export async function shownObject(
  consumer: AnyModelConsumer,
  meta: EntityMetadata,
  checked: unknown,
  request: ActionContext,
): Promise<ShownRow | undefined> {
  const planned = await planFor(consumer, request);
  if (!planned) return undefined;
  const { lookupField } = settingsOf(consumer);
  const named = lookupField === 'pk' ? ofKey(meta, checked) : { [lookupField]: checked };
  const rows = await readPlanned(consumer, planned, await queryOfOne(consumer, named, request));
  return onlyOne(consumer, rows);
}

export async function readPlanned(
  consumer: AnyModelConsumer,
  { plan, context }: PlannedRows,
  query: ModelQuery,
): Promise<readonly ShownRow[]> {
  const { queries, reader } = consumer['unitOfWork'];
  const rows = await queries.rows(reader, plan.selection, query);
  return showPlanned({ plan, context }, rows);
}

/**
 * Converts the client's name of a row into the entity's form; unchanged if the consumer overrides `getObject`.
 *
 * @throws ValidationFailed, NotFound as `getObject` does
 */
export function checkedKey(consumer: object, meta: EntityMetadata, key: unknown): unknown {
  if (overrides(consumer.constructor as Class, 'getObject')) return key;
  const named = namedRow(consumer, meta, key);
  const [only, ...others] = Object.values(named);
  return others.length === 0 ? only : named;
}

const noFilters: AnyFilterOptions = {};

/** Converts the result of `checkedKey` back into the client's form, which `getObject` takes. */
export function sentKey(consumer: object, meta: EntityMetadata, checked: unknown): unknown {
  const { lookupField } = settingsOf(consumer);
  if (overrides(consumer.constructor as Class, 'getObject')) return checked;
  return lookupField === 'pk' ? showKey(meta, checked) : showColumn(meta, lookupField, checked);
}

// biome-ignore lint/suspicious/noExplicitAny: the types of options are in contravariant places; here every consumer has to fit
export type AnyModelConsumer = BaseModelConsumer<any, any>;

export function modelOf(consumer: object): ConcreteClass<object> {
  return settingsOf(consumer).model;
}

/** The member that decides which rows of a consumer class a client may see; undefined if it may see every row. */
export function narrowingOf(consumer: Class): string | undefined {
  const member = ['getQuery', 'filterQuery'].find((name) => overrides(consumer, name));
  return member ?? (isModelConsumer(consumer) ? backendsOf(consumer.prototype)[0]?.name : undefined);
}

function isModelConsumer(consumer: Class): boolean {
  return consumer.prototype instanceof BaseModelConsumer;
}

function backendsOf(consumer: object) {
  return settingsOf(consumer).filters?.backends ?? [];
}

/** Whether a consumer class overrides a member of the model consumer. */
export function overrides(consumer: Class, member: string): boolean {
  const { prototype } = BaseModelConsumer;
  return isModelConsumer(consumer) && Reflect.get(consumer.prototype, member) !== Reflect.get(prototype, member);
}

/**
 * The options that `ModelConsumer(Entity, options)` has kept on the class of a consumer.
 *
 * @param consumer an instance, or the prototype of its class
 */
export function settingsOf(consumer: object): typeof BaseModelConsumer {
  return consumer.constructor as unknown as typeof BaseModelConsumer;
}

/** The type of the class that `ModelConsumer(Entity, options)` returns. */
export type ModelConsumerClass<
  Entity extends object,
  Options extends AnyModelOptions,
> = abstract new () => BaseModelConsumer<Entity, Options>;

/**
 * Makes the base class of a consumer of one model.
 *
 * ```ts
 * @Consumer()
 * class RoomConsumer extends mix(
 *   ModelConsumer(Room, {
 *     serializer: RoomSerializer,
 *     paginator: LimitOffsetPaginator,
 *     filters: { fields: ['archived'], ordering: ['name'], search: ['name'] },
 *   }),
 *   List, Retrieve, Create,
 * ) {}
 * ```
 *
 * ```json
 * {"action": "list", "request_id": 1, "limit": 2, "filter": {"archived": false}, "ordering": "-name", "search": "red"}
 * {"errors": [], "data": {"count": 1, "results": [{…}], "limit": 2, "offset": 0}, "action": "list", "response_status": 200, "request_id": 1}
 * ```
 *
 * @throws ConfigurationError when the class is defined, without an entity or without a serializer
 */
export function ModelConsumer<
  Entity extends object,
  const Options extends ModelConsumerOptions<Entity> & SoundOptions<Entity, Options>,
>(entity: ConcreteClass<Entity>, options: Options): ModelConsumerClass<Entity, Options> {
  checkModelOptions(entity, options);
  const {
    serializer,
    paginator,
    filters,
    lookupField = 'pk',
    lookupUrlKwarg = lookupField,
    maximumBulkSize = usualBulkSize,
  }: AnyModelOptions = options;
  abstract class Generated extends BaseModelConsumer<Entity, Options> {
    static override readonly model = entity;
    static override readonly serializer = serializer;
    static override readonly paginator = paginator;
    static override readonly filters = filters;
    static override readonly lookupField = lookupField;
    static override readonly lookupUrlKwarg = lookupUrlKwarg;
    static override readonly maximumBulkSize = maximumBulkSize;
  }
  return Generated;
}

/** Checks the options; after a circular import, a class is undefined. */
function checkModelOptions(entity: unknown, options: Partial<AnyModelOptions> | undefined): void {
  if (typeof entity !== 'function') {
    throw new ConfigurationError({
      class: 'ModelConsumer',
      reason: `was given ${String(entity)} for an entity.`,
      remedy: 'Give the class, and look for a circular import.',
    });
  }
  const { name } = entity;
  for (const backend of options?.filters?.backends ?? []) checkBackend(name, backend);
  checkBulkSize(name, options?.maximumBulkSize);
  if (typeof options?.serializer === 'function') return;
  throw new ConfigurationError({
    class: `ModelConsumer(${name})`,
    reason: 'has no serializer, which defines what clients see of a row.',
    remedy:
      `Write class ${name}Serializer extends ModelSerializer(${name}, { fields: ['id', …] }) {}, and give it: ` +
      `ModelConsumer(${name}, { serializer: ${name}Serializer }). If you did, look for a circular import.`,
  });
}

function checkBulkSize(entity: string, size = usualBulkSize): void {
  if (Number.isSafeInteger(size) && size > 0) return;
  throw new ConfigurationError({
    class: `ModelConsumer(${entity})`,
    reason: `takes ${String(size)} rows in one request, by its maximumBulkSize.`,
    remedy: 'Give a whole number above 0.',
  });
}

function checkBackend(entity: string, backend: unknown): void {
  if (typeof backend === 'function' && backend.prototype instanceof FilterBackend) return;
  throw new ConfigurationError({
    class: `ModelConsumer(${entity})`,
    reason: `was given ${typeof backend === 'function' ? backend.name : String(backend)} for a filter backend.`,
    remedy: 'Give classes that extend FilterBackend, and look for a circular import.',
  });
}
