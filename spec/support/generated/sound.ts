import { columnKinds } from './column-kinds.js';
import { allKeys, type Generating, type KeyName, ormOptions } from './generated-models.js';

/** Kinds of columns that are not shown alike everywhere, or cannot be sent back, and why. A kind that is mended leaves this list. */
export const faultyKinds: Readonly<Record<string, string>> = {
  'array of decimals': 'reads give numbers, and a patch that changes nothing is answered with texts',
  'array of JSON': 'is refused by the database',
  'custom: a list in a text': 'what is shown is refused: the column is a text',
  'custom: cents': 'what is shown is refused: the column is an integer',
  'formula of JSON':
    'MikroORM reads it by the wrong alias behind a populated many-to-many relation: 500, but only where entities are needed',
  'embedded object': 'is taken for a relation: 500',
  'embedded array': 'is taken for a relation: 500',
};

const faultyKeys: readonly KeyName[] = ['char', 'compositeOfBigints'];
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
