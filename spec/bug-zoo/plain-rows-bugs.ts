import { always, made } from './faults.js';
import type { Bug } from './plant.js';

/** What is said of rows that are read without entities. */
export const plainRowsBugs: readonly Bug[] = [
  {
    name: 'routes says of a list with soft deletion on a relation that it makes no entities',
    story: 'Only the serializer is looked at, and not the filters of the ORM.',
    plant: { symbol: 'defaultFiltersOf', with: always([]) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'routes says of a consumer with a retrieve of its own that it makes no entities',
    story: 'The method is taken for that of the mixin, so that it gets a row that is no entity.',
    plant: { symbol: 'isPlainRetrieve', with: always(true) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'a list of its own gets rows that are no entities',
    story: 'The method is taken for that of the mixin.',
    plant: { symbol: 'isPlainList', with: always(true) },
    caughtBy: ['consumers/model-rows'],
  },
  {
    name: 'rows are read and written under names that a pooler does not know',
    story: 'The setting holds for the change log only.',
    plant: { symbol: 'ModelQueries', with: made(() => [() => true]) },
    caughtBy: ['orm/prepared-rows'],
  },
];
