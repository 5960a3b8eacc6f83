import { inspect } from 'node:util';
import { startPostgres } from '../../spec/support/postgres.js';
import type { Bar } from './bar.js';
import { broadcast } from './broadcast.js';
import { drain } from './drain.js';
import { fanOut } from './fan-out.js';
import { frozenReaders } from './frozen-readers.js';
import { fuzz } from './fuzz.js';
import { handshakes } from './handshakes.js';
import { idle } from './idle.js';
import { memory } from './memory.js';
import { readCommandLine } from './options.js';
import { Report } from './report.js';
import { soak } from './soak.js';

const bars: Readonly<Record<string, Bar>> = {
  memory,
  idle,
  handshakes,
  'fan-out': fanOut,
  broadcast,
  frozen: frozenReaders,
  fuzz,
  drain,
  soak,
};

/** It takes hours. */
const notAmongAll = 'soak';

const { names, optionsFor } = readCommandLine();
const isChosen = (name: string, { ids }: Bar): boolean =>
  names.includes(name) || ids.some((id) => names.includes(id)) || (names.includes('all') && name !== notAmongAll);
const chosen = Object.entries(bars).filter(([name, bar]) => isChosen(name, bar));
if (chosen.length === 0) list();

const report = new Report();
const postgres = await startPostgres();
for (const [name, bar] of chosen) await run(name, bar);
await postgres.stop();
process.exit(report.missed > 0 ? 1 : 0);

async function run(name: string, bar: Bar): Promise<void> {
  try {
    await bar.run({ options: optionsFor(bar.options), report, postgres });
  } catch (error) {
    report.failure(bar.ids.join(', '), `${name} could not be measured: ${inspect(error)}`);
  }
}

function list(): never {
  const lines = Object.entries(bars).map(
    ([name, { ids, about }]) => `  ${name.padEnd(12)} ${ids.join(', ').padEnd(8)} ${about}\n`,
  );
  process.stdout.write(`npm run bars -- <name> [--connections 9000 …]\n\n${lines.join('')}`);
  process.exit(names.length > 0 ? 1 : 0);
}
