import { always, answered, leftOut } from './faults.js';
import type { Bug } from './plant.js';

/** What lists may be asked, and what it means. */
export const listsBugs: readonly Bug[] = [
  {
    name: 'rows without a value are left out by `not`',
    story: 'SQL compares null with the value, which is neither yes nor no.',
    plant: { symbol: 'mayBeMissing', with: always(false) },
    caughtBy: ['filters/operators'],
  },
  {
    name: 'a filter that the consumer does not declare shows the whole list',
    story: 'It is dropped, as an unknown kwarg is.',
    plant: { symbol: 'refuseNamed', with: leftOut },
    caughtBy: ['filters/operators'],
  },
  {
    name: 'a search finds out what a hidden column holds',
    story: 'Declared names are checked for being columns alone.',
    plant: { symbol: 'secrecyOf', with: always(undefined) },
    caughtBy: ['filters/operators'],
  },
  {
    name: 'an underscore in `contains` stands for any character',
    story: 'The text of the client is taken for a pattern.',
    plant: { symbol: 'literally', with: () => (text: string) => text },
    caughtBy: ['filters/operators'],
  },
  {
    name: '`previous` shows the first page of the list',
    story: 'The rows ahead of a position are read from the beginning.',
    plant: { symbol: 'reversed', in: 'paginators/model-page-source', with: () => (order: object) => order },
    caughtBy: ['filters/operators'],
  },
  {
    name: 'a row that a shared backend leaves out is followed for ever',
    story: 'Only the methods of the consumer are taken for what narrows its rows.',
    plant: {
      symbol: 'narrowingOf',
      with: answered((by) => (by === 'getQuery' || by === 'filterQuery' ? by : undefined)),
    },
    caughtBy: ['filters/operators'],
  },
  {
    name: 'a filter lets a row through in memory that the database leaves out',
    story: 'Numbers of any length are compared as numbers of JavaScript.',
    plant: { symbol: 'comparisonOf', with: () => () => ({ isOrdered: true, holdsText: true, ...asNumbers }) },
    caughtBy: ['filters/one-meaning'],
  },
  {
    name: 'the key of a row that was never in sight is told to who follows all rows',
    story: 'Each row that is out of sight is taken for one that has just left it.',
    plant: {
      symbol: 'isVisible',
      with:
        (original: (...given: unknown[]) => unknown) =>
        (...given: unknown[]) => {
          const [, { change }, row] = given as [object, { readonly change?: { readonly before?: object } }, object];
          return row === change?.before || original(...given);
        },
    },
    caughtBy: ['consumers/model-observe-kinds', 'consumers/model-observe-rows'],
  },
  {
    name: 'a subscription to creates is told of updates',
    story: 'Observers of one kind send whatever becomes of a change.',
    plant: { symbol: 'isOtherKind', with: always(false) },
    caughtBy: ['consumers/model-observe-kinds'],
  },
  {
    name: 'a filter behind a relation is followed, and rows that begin to match by it are missed',
    story: 'Each declared field is taken for one that the row itself holds.',
    plant: { symbol: 'isHeld', with: always(true) },
    caughtBy: ['consumers/model-observe-rows'],
  },
  {
    name: 'a descending order by a relation to many takes the least value of each row',
    story: 'The value that comes first is looked for in ascending order whatever the order is.',
    plant: {
      symbol: 'firstValue',
      with:
        (original: (...given: unknown[]) => unknown) =>
        (...[reader, meta, path]: unknown[]) =>
          original(reader, meta, path, 'asc'),
    },
    caughtBy: ['filters/operators'],
  },
];

const asNumbers = {
  toComparable: Number,
  compare: (left: number, right: number): number => left - right,
};
