import { always, leftOut } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong between a column and JSON where no entity is made. */
export const plainRowsBugs: readonly Bug[] = [
  {
    name: 'lists show what the driver makes of a column, and not what its entity would hold',
    story: 'The conversions of the ORM are left out.',
    plant: { symbol: 'readBy', with: always(undefined) },
    caughtBy: ['walks/columns-and-json'],
  },
  {
    name: 'a list is answered 400 where a number in its query is beyond the column',
    story: 'Every number is a parameter, which takes the type of the column.',
    plant: { symbol: 'fits', in: 'orm/model-queries', with: always(true) },
    caughtBy: ['serializers/rows-without-entities'],
  },
  {
    name: 'a row is listed once for each of its relations that the query asks for',
    story: 'Rows that a join has doubled stay in.',
    plant: {
      symbol: 'withoutRepeated',
      with: () => (rows: readonly unknown[]) => rows,
    },
    caughtBy: ['serializers/rows-without-entities'],
  },
  {
    name: 'a list in a transaction lacks what its request has written',
    story: 'What is pending is not flushed before plain rows are read.',
    plant: { symbol: 'EntityManager.tryFlush', of: '@mikro-orm/core', with: leftOut },
    caughtBy: ['serializers/rows-under-orm-options'],
  },
];
