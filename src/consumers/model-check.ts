import type { EntityMetadata } from '@mikro-orm/core';
import { ConfigurationError } from '../errors.js';
import { ModelFilters } from '../filters/model-filters.js';
import type { Class } from '../metadata.js';
import type { UnitOfWork } from '../orm/unit-of-work.js';
import { BaseModelConsumer } from './model-consumer.js';

/** @throws ConfigurationError where the options of a model consumer name what its model does not have */
export function checkModelConsumer(consumer: Class, unitOfWork: UnitOfWork): void {
  if (!(consumer.prototype instanceof BaseModelConsumer)) return;
  const { model, filters, lookupField } = consumer as unknown as typeof BaseModelConsumer;
  const meta = unitOfWork.of(model).em.getMetadata(model as never) as EntityMetadata;
  if (filters) new ModelFilters(meta, filters);
  if (lookupField === 'pk' || meta.props.some(({ name, kind }) => name === lookupField && kind === 'scalar')) return;
  throw new ConfigurationError({
    class: consumer.name,
    member: lookupField,
    reason: `is the lookupField, and no column of ${meta.className}.`,
    remedy: 'Name a column whose values are unique.',
  });
}
