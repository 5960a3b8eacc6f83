import fc from 'fast-check';
import {
  allOptions,
  type Batch,
  batch,
  type Cell,
  type ColumnPlan,
  columnPlan,
  type ModelPlan,
  type RelationPlan,
} from '../support/generated/generated-models.js';
import { described, differencesIn } from '../support/generated/playback.js';
import { sound, soundKinds } from '../support/generated/sound.js';
import { createDatabase } from '../support/postgres.js';
import { checkAsyncProperty } from '../support/properties.js';

/** In milliseconds, where a batch fails: a smaller one is tried again and again. */
const longest = 120_000;

// What `create` answers, its event, `list`, `retrieve`, a patch and its events, each with entities and without, and what is sent back.

describe('A row, whatever its columns, key and relations are', () => {
  let url: string;
  before(async function () {
    this.timeout(60_000);
    url = await createDatabase('columns_and_json');
  });

  async function checkBatch(played: Batch): Promise<void> {
    const differences = await differencesIn(played, url);
    // Chai would cut the text.
    if (differences.length > 0) throw new Error(differences.map(described).join('\n'));
  }

  it('is shown alike everywhere, and may be sent back as it is shown', async function () {
    this.timeout(0);
    await checkAsyncProperty(fc.asyncProperty(batch(sound), checkBatch), 8, longest);
  });

  it('is shown alike with a column of every kind, whichever option the ORM has', async function () {
    this.timeout(0);
    const everything = fc.record({
      options: fc.constantFrom(...allOptions),
      models: fc.tuple(everyKind(true), everyKind(false)),
    });
    await checkAsyncProperty(fc.asyncProperty(everything, checkBatch), 2, longest);
  });

  const kindNamed = (name: string): ColumnPlan['kind'] => {
    const kind = soundKinds.find((each) => each.name === name);
    if (!kind) throw new Error(`There is no kind "${name}".`);
    return kind;
  };
  const columnOf = (name: string, isNullable: boolean, cells: readonly Cell[]): ColumnPlan => ({
    kind: kindNamed(name),
    isNullable,
    use: 'both',
    columnName: undefined,
    cells,
  });
  const none: Cell = { value: null, state: 'null' };
  const some = (value: unknown): Cell => ({ value, state: 'value' });

  it('is unchanged under forceUndefined where the null of a lazy column is sent back', async () => {
    const date = some('2026-01-02T03:04:05Z');
    const columns = [
      columnOf('lazy reference', true, [none, none, none, none]),
      columnOf('lazy date', true, [date, date, date, date]),
    ];
    await checkBatch({ options: 'forceUndefined', models: [{ key: 'integer', columns, relations: [] }] });
  });

  it('takes under forceUndefined a value for the null of a lazy reference', async () => {
    const day = some('1970-01-01T00:00:00.000Z');
    const columns = [
      columnOf('lazy reference', true, [some(''), none, none, some('')]),
      columnOf('datetime', false, [day, day, day, { ...day, state: 'absent' }]),
    ];
    // Rows that others refer to are written through entities.
    const referring: RelationPlan = {
      kind: 'm:1',
      target: 0,
      isSelf: false,
      isNullable: false,
      isNested: false,
      inverse: 'keys',
      picks: [[], [], [], []],
    };
    const other = { key: 'composite', columns: [columnOf('range', false, [none, none, none, none])] } as const;
    await checkBatch({
      options: 'forceUndefined',
      models: [
        { key: 'integer', columns, relations: [] },
        { ...other, relations: [referring] },
      ],
    });
  });
});

function everyKind(isNullable: boolean): fc.Arbitrary<ModelPlan> {
  return fc.tuple(...soundKinds.map(columnPlan)).map((columns) => ({
    key: 'integer' as const,
    columns: columns.map((column) => ({ ...column, isNullable: isNullable && !column.kind.isNeverNull })),
    relations: [],
  }));
}
