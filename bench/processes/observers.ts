import type { PostgresServer } from '../../spec/support/postgres.js';
import { Program } from '../../spec/support/programs.js';
import { clockOfPostgres } from './engines.js';
import type { ObservedWriterCommands, WayOfWriting } from './observed-writer.js';

const ways: readonly WayOfWriting[] = ['through MikroORM', 'patch of the mixins'];
/** How many observers without a subscriber the model has. */
const numbers = [0, 2, 12, 102];

/** Writes that warm the processes up, and writes of one round. */
const firstWrites = 1_000;

interface Spent {
  readonly node: number;
  readonly postgres: number;
}

/**
 * What a commit costs that nobody subscribed to: processor time of the writer's process and of PostgreSQL, with no observer of the model and
 * with several. Each number of observers has a process and a database of its own; their rounds are interleaved.
 */
export async function measureObservers(
  postgres: PostgresServer,
  { rounds, writes }: { readonly rounds: number; readonly writes: number },
): Promise<void> {
  for (const way of ways) {
    const writers = await Promise.all(
      numbers.map(async (observed) => {
        const url = await postgres.createDatabase(`observers_${ways.indexOf(way)}_${observed}`);
        const file = new URL('./observed-writer.js', import.meta.url);
        return { observed, program: await Program.start<ObservedWriterCommands>(file, { url, observed }) };
      }),
    );
    const clock = await clockOfPostgres(await postgres.createDatabase(`observers_clock_${ways.indexOf(way)}`));
    for (const { program } of writers) await program.ask('write', way, firstWrites);
    const spent = new Map<number, Spent[]>();
    for (let round = 0; round < rounds; round += 1)
      for (const { observed, program } of writers) {
        const before = clock();
        const node = await program.ask('write', way, writes);
        spent.set(observed, [...(spent.get(observed) ?? []), { node, postgres: (clock() - before) / writes }]);
      }
    for (const [observed, each] of spent) {
      const [node, database] = [each.map((one) => one.node), each.map((one) => one.postgres)];
      process.stdout.write(
        `${way}, ${observed} observers: Node ${figures(node)} us, PostgreSQL ${figures(database)} us\n`,
      );
    }
    for (const { program } of writers) await program.kill();
  }
}

/** Median (least–most). */
function figures(values: readonly number[]): string {
  const sorted = values.map(Math.round).toSorted((one, other) => one - other);
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`;
}
