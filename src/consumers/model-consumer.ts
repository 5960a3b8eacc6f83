import type { EntityMetadata, FilterQuery } from '@mikro-orm/core';
import type { ModelConsumerTypes, modelConsumerTypes } from '../dispatch/action-declaration.js';
import { NotFound } from '../errors.js';
import type { Class, ConcreteClass } from '../metadata.js';
import { toPrimaryKey } from '../orm/model-key.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import type { ActionContext } from '../scope/action-context.js';
import type { DataOf, Fitting, RowData, SerializerLike } from '../serializers/model-types.js';
import type { AnySerializer, Serializer, SerializerClass, SerializerContext } from '../serializers/serializer.js';
import { ApiConsumer, linkOf } from './api-consumer.js';

export interface ModelConsumerOptions<S extends SerializerClass> {
  /** What rows look like in replies and events, and what may be sent for them. */
  readonly serializer: S;
}

/** A serializer that can also write. */
export interface WritingSerializer<Entity, S> extends AnySerializer {
  validate(raw: unknown, context: SerializerContext, options?: { partial?: boolean }): Promise<DataOf<S>>;
  /** @param data what was validated, and whatever else the application sets */
  create(data: DataOf<S> | RowData<Entity>, context: SerializerContext): Promise<Entity>;
  update(entity: Entity, data: DataOf<S> | RowData<Entity>, context: SerializerContext): Promise<Entity>;
}

/** What `ModelConsumer(Entity, options)` gives to extend: no action yet; mixins bring them. */
export abstract class BaseModelConsumer<Entity extends object, S extends SerializerClass>
  extends ApiConsumer
  implements ModelConsumerTypes<Entity, S>
{
  declare readonly [modelConsumerTypes]: { readonly model: Entity; readonly serializer: S };
  static readonly model: Class;
  static readonly serializer: SerializerClass;

  /** The rows that exist for this consumer at all; default every row. */
  protected getQuery(_context: ActionContext): FilterQuery<Entity> | Promise<FilterQuery<Entity>> {
    return {} as FilterQuery<Entity>;
  }

  /** Narrows the query by what the client sent; default not at all. */
  protected filterQuery(
    query: FilterQuery<Entity>,
    _context: ActionContext,
  ): FilterQuery<Entity> | Promise<FilterQuery<Entity>> {
    return query;
  }

  /** The row that the client named by `pk`. @throws NotFound where it is not among the rows of the query */
  protected async getObject(pk: unknown, context: ActionContext): Promise<Entity> {
    const { em } = this.unitOfWork;
    const meta = em.getMetadata(modelOf(this)) as EntityMetadata;
    const key = toPrimaryKey(meta, pk);
    if (key === undefined) throw new NotFound();
    const [name] = meta.primaryKeys;
    const named = meta.primaryKeys.length === 1 && name ? { [name]: key } : (key as object);
    const found = await em.findOne(modelOf(this), { $and: [named, await this.visibleRows(context)] } as never);
    if (!found) throw new NotFound();
    return found as Entity;
  }

  /** The order of lists; default by key, so that two lists of the same rows are alike. */
  protected getOrder(_context: ActionContext): Record<string, 'asc' | 'desc'> {
    const { primaryKeys } = this.unitOfWork.em.getMetadata(modelOf(this)) as EntityMetadata;
    return Object.fromEntries(primaryKeys.map((name) => [name, 'asc' as const]));
  }

  /** The serializer of an action; default that of the consumer. */
  protected getSerializer(_context: ActionContext): SerializerClass<Serializer<Entity>> {
    return (this.constructor as unknown as { serializer: SerializerClass<Serializer<Entity>> }).serializer;
  }

  /** What serializers are told. */
  protected getSerializerContext(request: ActionContext): SerializerContext {
    const { container } = this.scope;
    return { unitOfWork: this.unitOfWork, request, resolve: (serializer) => container.resolve(serializer) };
  }

  /** Writes a new row. Override to set what the client may not: `serializer.create({ ...data, host: user }, …)`. */
  protected performCreate(
    serializer: WritingSerializer<Entity, S>,
    data: DataOf<S>,
    context: ActionContext,
  ): Promise<Entity> {
    return serializer.create(data, this.getSerializerContext(context));
  }

  protected performUpdate(
    serializer: WritingSerializer<Entity, S>,
    entity: Entity,
    data: DataOf<S>,
    context: ActionContext,
  ): Promise<Entity> {
    return serializer.update(entity, data, this.getSerializerContext(context));
  }

  protected async performDelete(entity: Entity, _context: ActionContext): Promise<void> {
    this.unitOfWork.em.remove(entity);
  }

  protected get unitOfWork(): UnitOfWork {
    return linkOf(this).unitOfWork;
  }

  /** The query of the consumer, narrowed by the client's. */
  protected async visibleRows(context: ActionContext): Promise<FilterQuery<Entity>> {
    return this.filterQuery(await this.getQuery(context), context);
  }

  protected writingSerializer(context: ActionContext): WritingSerializer<Entity, S> {
    return this.getSerializerContext(context).resolve(this.getSerializer(context)) as WritingSerializer<Entity, S>;
  }
}

export function modelOf(consumer: object): ConcreteClass<object> {
  return (consumer.constructor as unknown as { model: ConcreteClass<object> }).model;
}

/**
 * A consumer of one model.
 *
 * ```ts
 * @Consumer()
 * class RoomConsumer extends mix(ModelConsumer(Room, { serializer: RoomSerializer }), List, Retrieve, Create) {}
 * ```
 */
export function ModelConsumer<Entity extends object, S extends SerializerClass & SerializerLike>(
  entity: ConcreteClass<Entity>,
  options: ModelConsumerOptions<S & Fitting<Entity, S>>,
): abstract new () => BaseModelConsumer<Entity, S> {
  abstract class Generated extends BaseModelConsumer<Entity, S> {
    static override readonly model = entity;
    static override readonly serializer = options.serializer;
  }
  return Generated;
}
