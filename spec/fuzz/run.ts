/**
 * `npm run fuzz`, or `npm run fuzz -- --minutes 10 --seed 7`: clients, writers and vandals against two applications on one PostgreSQL,
 * and an oracle that says what each connection may hear. `--rounds 1` plays the round of the seed alone. Not one of the specs.
 */
import 'reflect-metadata';
import { parseArgs } from 'node:util';
import { startPostgres } from '../support/postgres.js';
import { Fuzz } from './fuzz.js';

process.env['NODE_ENV'] = 'test';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    rounds: { type: 'string', default: 'Infinity' },
    steps: { type: 'string', default: '400' },
  },
});
const [minutes, seed, rounds, steps] = [values.minutes, values.seed, values.rounds, values.steps].map(Number);

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function fail(error: unknown): never {
  say(error instanceof Error ? (error.name === 'Fault' ? error.message : String(error.stack)) : String(error));
  process.exit(1);
}

process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

const server = await startPostgres();
const fuzz = await Fuzz.start(await server.createDatabase('fuzz'));
say(`seed ${seed}, ${minutes} minutes`);
await fuzz
  .run({ seed: seed ?? 0, steps: steps ?? 0, rounds: rounds ?? 0, milliseconds: (minutes ?? 0) * 60_000, say })
  .catch(fail);
await fuzz.close();
await server.stop();
process.exit(0);
