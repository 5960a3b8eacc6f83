import { always, leftOut } from './faults.js';
import type { Bug } from './plant.js';

/** What can go wrong between a column and JSON. */
export const columnKindsBugs: readonly Bug[] = [
  {
    name: 'a text "NULL" in a list is stored as null',
    story: 'Lists are written as MikroORM writes them.',
    plant: { symbol: 'writeArrays', with: always(undefined) },
    caughtBy: ['serializers/column-kinds'],
  },
  {
    name: 'a client that saves what it saw an hour ago overwrites what others wrote since',
    story: 'The version that came is left out without a look at it.',
    plant: { symbol: 'checkVersion', with: always(undefined) },
    caughtBy: ['serializers/input'],
  },
  {
    name: 'a unique column whose check is deferred is answered with 500',
    story: 'Only errors that MikroORM has wrapped mean something.',
    plant: { symbol: 'violationError', with: always(undefined) },
    caughtBy: ['orm/refusals'],
  },
  {
    name: 'an embedded value is stored as it came',
    story: 'Its fields are not checked.',
    plant: {
      symbol: 'checkObject',
      with: () => (_: object, value: unknown) => Promise.resolve(value),
    },
    caughtBy: ['serializers/embedded'],
  },
  {
    name: 'a patch of binary data, or of a type of the application, within an embedded value is a 500',
    story: 'MikroORM assigns the value, and checks its members by the types that the compiler wrote down.',
    plant: { symbol: 'setEmbedded', with: leftOut },
    caughtBy: ['serializers/members-of-embedded-values'],
  },
  {
    name: 'what a patch leaves out of an embedded value has no default',
    story: 'Only what was sent is set.',
    plant: { symbol: 'completeEmbedded', with: leftOut },
    caughtBy: ['serializers/members-of-embedded-values'],
  },
  {
    name: 'what MikroORM cannot read within an embedded value is written all the same',
    story: 'Nothing looks at its members when the application starts.',
    plant: { symbol: 'lostWithin', with: always(undefined) },
    caughtBy: ['serializers/members-of-embedded-values'],
  },
  {
    name: 'what is shown of a type of the application cannot be sent back',
    story: 'Its fromJSON is not asked.',
    plant: {
      symbol: 'custom',
      in: 'serializers/model-columns',
      with:
        (original: (type: object, column: object) => { readonly check: unknown; readonly show: unknown }) =>
        (type: object, column: { readonly check: unknown }) => ({ ...original(type, column), check: column.check }),
    },
    caughtBy: ['serializers/column-kinds'],
  },
  {
    name: 'a filter by an object is read as operators',
    story: 'A value of a type of the application goes into the condition as it came.',
    plant: {
      symbol: 'comparedValue',
      with: () => (_: object, raw: unknown) => ({ value: raw }),
    },
    caughtBy: ['serializers/model-key', 'serializers/column-kinds'],
  },
];
