import type { EntityMetadata } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import { ModelFilters } from '../filters/model-filters.js';
import type { Class } from '../metadata.js';
import { observerDeclarations } from '../observers/observer-declaration.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { unknownEntity } from '../orm/unknown-entity.js';
import { BaseModelSerializer } from '../serializers/model-serializer.js';
import type { SerializerClass } from '../serializers/serializer.js';
import { BaseModelConsumer } from './model-consumer.js';
import { plainWriteIn } from './model-mixins.js';

/**
 * @throws ConfigurationError for a model or an observed entity that MikroORM does not know, and where the options of a model
 * consumer name what its model does not have
 */
export function checkModelConsumer(consumer: Class, unitOfWork: UnitOfWork): void {
  for (const [member, { model }] of observerDeclarations.read(consumer)) {
    const observed = model?.();
    if (observed && !unitOfWork.knows(observed))
      throw unknownEntity(`${consumer.name}.${member}`, 'observes', observed);
  }
  if (!(consumer.prototype instanceof BaseModelConsumer)) return;
  const { model, filters, lookupField, serializer } = consumer as unknown as typeof BaseModelConsumer;
  if (!unitOfWork.knows(model)) throw unknownEntity(consumer.name, 'is a consumer of', model);
  const meta = unitOfWork.of(model).em.getMetadata(model as never) as EntityMetadata;
  if (filters) new ModelFilters(meta, filters);
  if (meta.view || meta.virtual || meta.expression) refuseWrites(consumer, meta);
  checkUnrestricted(consumer, serializer, [...Object.values(filters ?? {}).flat(), lookupField]);
  if (lookupField === 'pk' || meta.props.some(({ name, kind }) => name === lookupField && kind === 'scalar')) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: lookupField,
    reason: `is the lookupField, and no column of ${meta.className}.`,
    remedy: 'Name a column whose values are unique.',
  });
}

/** MikroORM writes nothing to a view, and says nothing. */
function refuseWrites(consumer: Class, { className }: EntityMetadata): void {
  const writing = plainWriteIn(consumer);
  if (writing === undefined) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: writing,
    reason: `would write ${className}, which is a view, and MikroORM writes nothing to views.`,
    remedy: `Leave the mixin out, or write the action ${writing} yourself.`,
  });
}

/** A client that may ask for the rows with a value finds out the value of a row. */
function checkUnrestricted(consumer: Class, serializer: SerializerClass, names: readonly string[]): void {
  if (!(serializer.prototype instanceof BaseModelSerializer)) return;
  const { rights } = (serializer as unknown as typeof BaseModelSerializer).options;
  const restricted = names.find((name) => rights && Object.hasOwn(rights.fields, name));
  if (restricted === undefined) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: restricted,
    reason: `is shown to some only, and everybody could find it out by filters, order or lookup.`,
    remedy: 'Take it out of them, and write what some may ask in filterQuery.',
  });
}
