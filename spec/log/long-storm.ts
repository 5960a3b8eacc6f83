/**
 * `npm run storm`, or `npm run storm -- 100000` for this many commits: the storm of the contract for longer, and how long a read takes
 * that finds nothing. Not one of the specs.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { logScript } from '#signalbox/log/log-schema.js';
import { startPostgres } from '../support/postgres.js';

const commits = Number(process.argv[2] ?? 50_000);
const root = fileURLToPath(new URL('../../../', import.meta.url));
const mocha = ['node_modules/mocha/bin/mocha.js', '--no-config', '--require', 'build/spec/support/setup.js'];
const { status } = spawnSync(
  process.execPath,
  [...mocha, '--grep', 'in a storm', '--timeout', '30000', 'build/spec/log/change-log.spec.js'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, SIGNALBOX_STORM: String(commits) } },
);
await timeIdleReads();
process.exit(status ?? 1);

/** With 300,000 rows, and a transaction that was open before all of them. */
async function timeIdleReads(): Promise<void> {
  const server = await startPostgres();
  const [open, reader] = [new pg.Client(server.url), new pg.Client(server.url)];
  await Promise.all([open.connect(), reader.connect()]);
  await reader.query(logScript({ durability: 'unlogged', slotMinutes: 15 }));
  await open.query('begin; select pg_current_xact_id()');
  await reader.query(
    `insert into signalbox.log (slot, entries) select g % 8, repeat('x', 300) from generate_series(1, 300000) g`,
  );
  const { rows } = await reader.query('select pg_current_snapshot()::text as snapshot');
  const [, end, xids] = String(rows[0].snapshot).split(':');
  const values = [end, `{${xids}}`, 300_000, 50_001, 67_108_864];
  for (const name of ['idle', undefined]) {
    const text = 'select * from signalbox.read_log($1, $2, $3, $4, $5)';
    const times: number[] = [];
    for (let round = 0; round < 1_000; round += 1) {
      const began = performance.now();
      await reader.query({ text, values, ...(name !== undefined && { name }) });
      times.push(performance.now() - began);
    }
    times.sort((one, other) => one - other);
    const [median, slow] = [times[500] ?? 0, times[990] ?? 0].map((time) => time.toFixed(2));
    process.stdout.write(`idle read, ${name ? 'prepared' : 'not prepared'}: p50 ${median} ms, p99 ${slow} ms\n`);
  }
  await Promise.all([open.end(), reader.end()]);
  await server.stop();
}
