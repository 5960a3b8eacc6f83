import 'reflect-metadata';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { createDatabase, stopSharedPostgres } from '../postgres.js';
import { batch } from './generated-models.js';
import { described, differencesIn } from './playback.js';
import { sound } from './sound.js';

/** `npm run properties -- --minutes 10 --seed 42`: the property of spec/walks/columns-and-json.spec.ts for longer than the specs do. */
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '1' }, seed: { type: 'string' } } });
const end = Date.now() + Number(values.minutes) * 60_000;
process.env['NODE_ENV'] = 'test';

const url = await createDatabase('long_run');
let seed = Number(values.seed ?? Date.now() % 2 ** 31);
let runs = 0;
try {
  for (; Date.now() < end; seed += 1) {
    process.stdout.write(`seed ${seed}, ${runs} batches before it\n`);
    await fc.assert(
      fc.asyncProperty(batch(sound), async (played) => {
        runs += 1;
        const differences = await differencesIn(played, url);
        if (differences.length > 0) throw new Error(differences.slice(0, 10).map(described).join('\n'));
      }),
      { seed, numRuns: 20, interruptAfterTimeLimit: Math.max(end - Date.now(), 1) },
    );
  }
  process.stdout.write(`${runs} batches, each shown alike everywhere\n`);
} finally {
  await stopSharedPostgres();
}
