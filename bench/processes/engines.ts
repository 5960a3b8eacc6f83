import { readdirSync, readFileSync } from 'node:fs';
import pg from 'pg';
import { createClient } from 'redis';
import { processorTime } from '../compare/process-figures.js';

/** Gives the microseconds that a server has run until now. */
export type ProcessorClock = () => number;

/** Of all processes of a PostgreSQL server. Linux only. */
export async function clockOfPostgres(url: string): Promise<ProcessorClock> {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query('select pg_backend_pid() as pid');
  const postmaster = parentOf(String(rows[0].pid));
  await client.end();
  return () => {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const own = pids.filter((pid) => pid === postmaster || parentOf(pid) === postmaster);
    return own.reduce((sum, pid) => sum + processorTime(Number(pid)), 0);
  };
}

/** Of a Redis server. Linux only. */
export async function clockOfRedis(url: string): Promise<ProcessorClock> {
  const client = createClient({ url });
  await client.connect();
  const pid = Number(/^process_id:(\d+)/m.exec(await client.info('server'))?.[1]);
  await client.close();
  return () => processorTime(pid);
}

function parentOf(pid: string): string | undefined {
  try {
    return /^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
