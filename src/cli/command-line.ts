import { parseArgs } from 'node:util';
import { type Command, CommandFailed, type Options, type Terminal, UsageError } from './command.js';

/**
 * Runs `signalbox <command> [options]`.
 *
 * @param words what was typed after `signalbox`
 * @returns the exit code: 0 done, 1 the command failed, 2 the command line is wrong
 */
export async function runCommandLine(
  commands: readonly Command[],
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  try {
    await runCommand(commands, words, terminal);
    return 0;
  } catch (error) {
    if (!(error instanceof CommandFailed)) throw error;
    terminal.err(`${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

async function runCommand(
  commands: readonly Command[],
  [name, ...rest]: readonly string[],
  terminal: Terminal,
): Promise<void> {
  if (name === '--help' || name === '-h') return terminal.out(overview(commands));
  if (name === undefined) throw new UsageError(overview(commands).trimEnd());
  const command = commands.find((each) => each.name === name);
  if (!command) throw new UsageError(`There is no command ${name}. ${namesOf(commands)}`);
  const options = parse(command, rest);
  if (options.help === true) return terminal.out(command.help);
  await command.run(options, terminal);
}

function parse({ name, options }: Command, words: readonly string[]): Options {
  const help = { type: 'boolean', short: 'h' } as const;
  try {
    const { values } = parseArgs({ args: [...words], options: { ...options, help }, allowPositionals: false });
    return values as Options;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${reason.replace(/[^.]$/, '$&.')} See \`signalbox ${name} --help\`.`);
  }
}

function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: signalbox <command> [options]\n\n${lines.join('\n')}\n\nsignalbox <command> --help says more.\n`;
}

function namesOf(commands: readonly Command[]): string {
  return `The commands are: ${commands.map(({ name }) => name).join(', ')}.`;
}
