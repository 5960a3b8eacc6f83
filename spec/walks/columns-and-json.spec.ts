import fc from 'fast-check';
import { allOptions, type Batch, batch, columnPlan, type ModelPlan } from '../support/generated/generated-models.js';
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

  it('is unchanged under forceUndefined where the null of a lazy reference is sent back', async () => {
    const columns = soundKinds
      .filter(({ name }) => name === 'lazy reference' || name === 'lazy date')
      .map((kind): ModelPlan['columns'][number] => {
        const value = kind.type === Date ? '2026-01-02T03:04:05Z' : null;
        const cell = { value, state: value === null ? ('null' as const) : ('value' as const) };
        return { kind, isNullable: true, use: 'both', columnName: undefined, cells: [cell, cell, cell, cell] };
      });
    await checkBatch({ options: 'forceUndefined', models: [{ key: 'integer', columns, relations: [] }] });
  });
});

function everyKind(isNullable: boolean): fc.Arbitrary<ModelPlan> {
  return fc.tuple(...soundKinds.map(columnPlan)).map((columns) => ({
    key: 'integer' as const,
    columns: columns.map((column) => ({ ...column, isNullable: isNullable && !column.kind.isNeverNull })),
    relations: [],
  }));
}
