import { columnKinds } from './column-kinds.js';
import { allKeys, type Generating, type KeyName, ormOptions } from './generated-models.js';

/** Kinds of columns that are not shown alike everywhere, or cannot be sent back, and why. A kind that is mended leaves this list. */
export const faultyKinds: Readonly<Record<string, string>> = {
  'date as a Date': 'a plan shows 2026-01-31, and an entity 2026-01-31T00:00:00.000Z',
  'datetime as a text': 'is shown as 2026-01-31 12:00:00+00, which is refused when it is sent back',
  timetz: 'is shown as 12:00:00+00, which is refused when it is sent back',
  'array of texts': 'the word NULL is stored as null, and a line break is refused',
  'array of datetimes': 'what `Date` prints is sent to the database, which refuses some of it',
  'array of decimals': 'reads give numbers, and a patch that changes nothing is answered with texts',
  'array of JSON': 'is refused by the database',
  bytes: 'base64 is answered 500',
  Uint8Array: 'base64 is answered 500',
  interval: 'is shown as an object, which is answered 500 when it is sent back',
  point: 'is shown as an object, which is answered 500 when it is sent back',
  'custom: a list in a text': 'what is shown is refused: the column is a text',
  'custom: cents': 'what is shown is refused: the column is an integer',
  lazy: 'a patch with what is shown writes the row and is told as an event',
  'lazy date': 'a patch with what is shown writes the row and is told as an event',
  'lazy reference': 'an entity shows {"value": …}, and a patch is answered 500',
  'formula of JSON':
    'MikroORM reads it by the wrong alias behind a populated many-to-many relation: 500, but only where entities are needed',
  embedded: 'is taken for a relation: 500',
  'embedded with a prefix': 'is taken for a relation: 500',
  'embedded object': 'is taken for a relation: 500',
  'embedded array': 'is taken for a relation: 500',
};

const faultyKeys: readonly KeyName[] = ['uuid', 'char', 'custom', 'composite', 'compositeOfBigints'];
const faultyOptions: readonly (keyof typeof ormOptions)[] = ['forceUndefined'];

export const soundKinds = columnKinds.filter(({ name }) => !(name in faultyKinds));

/** All that is shown alike today. */
export const sound: Generating = {
  without: Object.keys(faultyKinds),
  keys: allKeys.filter((key) => !faultyKeys.includes(key)),
  options: (Object.keys(ormOptions) as (keyof typeof ormOptions)[]).filter((name) => !faultyOptions.includes(name)),
  hasSelfRelations: false,
  hasInversesOfBigints: false,
};
