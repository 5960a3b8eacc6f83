import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Terminal } from './command.js';

/**
 * Runs a program to its end. Its output goes to the error output.
 *
 * @returns its exit code; undefined if there is no such program
 */
export async function runProgram(
  [program = '', ...words]: readonly string[],
  folder: string,
  { env, err }: Pick<Terminal, 'env' | 'err'>,
): Promise<number | undefined> {
  // On Windows package managers are scripts of the shell. The arguments are the framework's own, never typed by users.
  const shell = process.platform === 'win32';
  const child = spawn(program, words, { cwd: folder, env, shell, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', err);
  try {
    const [code] = await once(child, 'close');
    return code ?? 1;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
