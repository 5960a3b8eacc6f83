import type { ParseArgsOptionsConfig } from 'node:util';
import { SignalboxError } from '../errors.js';

/** Where a command runs, and what it writes to: results to `out`, everything else to `err`. */
export interface Terminal {
  readonly folder: string;
  out(text: string): void;
  err(text: string): void;
}

/** What came after the command's name, parsed: text for each option with a value, true for each flag that is there. */
export type Options = Readonly<Record<string, string | boolean | undefined>>;

/** One command of `signalbox`. */
export interface Command {
  /** As it is typed. */
  readonly name: string;
  /** One line of `signalbox --help`. */
  readonly summary: string;
  /** What `signalbox <name> --help` prints. */
  readonly help: string;
  /** As `parseArgs` of node:util takes them. */
  readonly options: ParseArgsOptionsConfig;
  /** Throws a CommandFailed for what the user can mend. */
  run(options: Options, terminal: Terminal): Promise<void>;
}

/** Ends a command with exit code 1 and this sentence. */
export class CommandFailed extends SignalboxError {}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends CommandFailed {}
