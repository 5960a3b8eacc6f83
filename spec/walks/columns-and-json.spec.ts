import { expect } from 'chai';
import fc from 'fast-check';
import { columnKinds } from '../support/generated/column-kinds.js';
import {
  type Batch,
  batch,
  columnPlan,
  type KeyName,
  type ModelPlan,
  ormOptions,
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
    expect(differences.map(described)).to.deep.equal([]);
  }

  it('is shown alike everywhere, and may be sent back as it is shown', async function () {
    this.timeout(0);
    await checkAsyncProperty(fc.asyncProperty(batch(sound), checkBatch), 8, longest);
  });

  it('is shown alike with a column of every kind, whichever option the ORM has', async function () {
    this.timeout(0);
    const everything = fc.record({
      options: fc.constantFrom(...(sound.options ?? [])),
      models: fc.tuple(everyKind(true), everyKind(false)),
    });
    await checkAsyncProperty(fc.asyncProperty(everything, checkBatch), 2, longest);
  });

  describe('is not yet', () => {
    it.skip('by entities where a formula of JSON is behind a many-to-many relation: column m1.f0 does not exist', () =>
      checkBatch(related({ kind: 'm:n', isNested: true, picks: [[0], [1]] }, ['formula of JSON'])));

    it.skip('with a key that is a char of several characters: the log takes it for character(1), and each write is refused; the reply lacks the blanks that are stored', () =>
      checkBatch(alone('char', ['time', 'getter'])));

    it.skip('with a many-to-many relation to a key of two bigints: 500, MikroORM writes the rows of its table by JSON.stringify, which takes no bigint', () =>
      checkBatch(related({ kind: 'm:n', picks: [[0], [1], [2]] }, [], 'compositeOfBigints')));

    it.skip('with a one-to-one relation to a bigint that is a number: a patch of one row writes another one, and tells it', () =>
      checkBatch({
        options: 'none',
        models: [
          plan('bigintNumber'),
          {
            ...plan('integer'),
            relations: [
              relation({ kind: 'm:1', picks: [[3], [2, 6, 7], [], []] }),
              relation({ kind: '1:1', inverse: 'nested', picks: [[], [0], [5, 0, 0], [1, 2, 3]] }),
            ],
          },
        ],
      }));

    it.skip('with a row that refers to itself: the event writes to the database, whose event writes again, for ever', () =>
      checkBatch({
        options: 'none',
        models: [
          {
            ...plan('integer', ['formula of a boolean']),
            relations: [relation({ kind: 'm:1', isSelf: true, inverse: 'keys', picks: [[], [3, 4], [6, 7], [7]] })],
          },
        ],
      }));

    it.skip('with two relations to rows of its own model: a patch that changes nothing writes other rows, and tells them', () =>
      checkBatch({
        options: 'none',
        models: [
          {
            ...plan('integer'),
            relations: [
              relation({ kind: '1:1', isSelf: true, inverse: 'keys', picks: [[5], [4, 7, 7], [], []] }),
              relation({ kind: 'm:1', isSelf: true, inverse: 'nested', picks: [[], [6, 8], [0], [0, 6]] }),
              relation({ kind: 'm:1', isSelf: true, inverse: 'keys', picks: [[], [6, 6], [0, 7], [0, 3]] }),
            ],
          },
        ],
      }));
  });
});

function everyKind(isNullable: boolean): fc.Arbitrary<ModelPlan> {
  return fc.tuple(...soundKinds.map(columnPlan)).map((columns) => ({
    key: 'integer' as const,
    columns: columns.map((column) => ({ ...column, isNullable: isNullable && !column.kind.isNeverNull })),
    relations: [],
  }));
}

/** A column of each kind, with a few values that are the same in each run. */
function plan(key: KeyName, kinds: readonly string[] = []): ModelPlan {
  const chosen = columnKinds.filter(({ name }) => kinds.includes(name));
  const columns = chosen.map((kind) => ({ ...fc.sample(columnPlan(kind), { numRuns: 1, seed: 1 })[0], use: 'both' }));
  return { key, columns, relations: [] } as unknown as ModelPlan;
}

function relation(given: Partial<RelationPlan>): RelationPlan {
  const usual = { kind: 'm:1', target: 0, isSelf: false, isNullable: true, isNested: false, inverse: 'none' } as const;
  const picks = [...(given.picks ?? []), [], [], []];
  return { ...usual, ...given, picks };
}

function alone(key: KeyName, kinds: readonly string[]): Batch {
  return { options: 'none', models: [plan(key, kinds)] };
}

/** Rows of a model that refer to those of another one. */
function related(given: Partial<RelationPlan>, kinds: readonly string[] = [], key: KeyName = 'integer'): Batch {
  return {
    options: 'none' satisfies keyof typeof ormOptions,
    models: [plan(key, kinds), { ...plan('integer'), relations: [relation(given)] }],
  };
}
