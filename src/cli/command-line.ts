import { Command, CommanderError } from 'commander';
import { type AddCommand, CommandFailed, type Terminal, UsageError } from './command.js';
import { ownManifest } from './own-manifest.js';

/** Columns of the help texts, independent of the terminal's width. */
const HELP_WIDTH = 100;

/**
 * Runs `signalbox <command> [options]`.
 *
 * @param words the words that were typed after `signalbox`
 * @returns the exit code: 0 done, 1 the command failed, 2 the command line is wrong
 */
export async function runCommandLine(
  commands: readonly AddCommand[],
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const program = createProgram(terminal);
  for (const add of commands) add(program, terminal);
  for (const command of program.commands) command.showHelpAfterError(`See: signalbox ${command.name()} --help`);
  if (words.length === 0) {
    program.outputHelp({ error: true });
    return 2;
  }
  try {
    await program.parseAsync(words, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has already written its message; help and version end with 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (!(error instanceof CommandFailed)) throw error;
    terminal.err(`${error.message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function createProgram({ out, err }: Terminal): Command {
  return new Command('signalbox')
    .description('The command of Signalbox: REST-like actions and live models over one WebSocket.')
    .version(ownManifest().version, '-v, --version', 'print the version of Signalbox')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: out,
      writeErr: err,
      getOutHelpWidth: () => HELP_WIDTH,
      getErrHelpWidth: () => HELP_WIDTH,
    })
    .showHelpAfterError('See: signalbox --help')
    .addHelpText('after', '\nsignalbox <command> --help describes the options of a command.')
    .exitOverride();
}
