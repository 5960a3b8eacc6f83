import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { CommandFailed, type Terminal, UsageError } from './command.js';

/** The options of a command that writes one text. */
export interface OutputOptions {
  readonly out?: string;
  readonly check?: boolean;
}

export function addOutputOptions(command: Command): Command {
  return command
    .option('-o, --out <path>', 'the file to write (default: the standard output)')
    .option('--check', 'write nothing; exit code 1 if the file is not as it would be written');
}

/**
 * Writes the text to the file or to the standard output, or compares it with the file.
 *
 * @throws CommandFailed if the file is compared and differs
 */
export async function output(
  text: () => string | Promise<string>,
  { out, check = false }: OutputOptions,
  terminal: Terminal,
): Promise<void> {
  if (check && out === undefined) throw new UsageError('--check compares a file: name it with --out.');
  const written = await text();
  if (out === undefined) terminal.out(written);
  else await (check ? compare(written, out, terminal) : save(written, out, terminal));
}

async function save(written: string, out: string, { folder, err }: Terminal): Promise<void> {
  const path = resolve(folder, out);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, written);
  err(`Wrote ${out}.\n`);
}

async function compare(written: string, out: string, { folder }: Terminal): Promise<void> {
  const present = await readFile(resolve(folder, out), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') throw new CommandFailed(`${out} does not exist. Write it: leave --check out.`);
    throw error;
  });
  // A checkout may have converted the line endings.
  if (present.replaceAll('\r\n', '\n') !== written)
    throw new CommandFailed(`${out} is out of date: the application has changed. Write it again: leave --check out.`);
}
