import { startPostgres } from '../../spec/support/postgres.js';
import type { Bar } from './bar.js';
import { broadcast } from './broadcast.js';
import { fanOut } from './fan-out.js';
import { memory } from './memory.js';
import { readCommandLine } from './options.js';
import { Report } from './report.js';

const bars: Readonly<Record<string, Bar>> = { memory, 'fan-out': fanOut, broadcast };

const { names, optionsFor } = readCommandLine();
const chosen = Object.entries(bars).filter(
  ([name, { ids }]) => names.includes(name) || ids.some((id) => names.includes(id)),
);
if (chosen.length === 0) {
  const list = Object.entries(bars).map(
    ([name, { ids, about }]) => `  ${name.padEnd(12)} ${ids.join(', ').padEnd(8)} ${about}\n`,
  );
  process.stdout.write(`npm run bars -- <name> [--connections 9000 …]\n\n${list.join('')}`);
  process.exit(names.length > 0 ? 1 : 0);
}
const report = new Report();
const postgres = await startPostgres();
for (const [, bar] of chosen) await bar.run({ options: optionsFor(bar.options), report, postgres });
await postgres.stop();
process.exit(report.missed > 0 ? 1 : 0);
