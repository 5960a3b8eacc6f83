import type { Command } from 'commander';
import { SignalboxError } from '../errors.js';

/** Where a command runs, and what it writes to: results to `out`, everything else to `err`. */
export interface Terminal {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  out(text: string): void;
  err(text: string): void;
  /** Resolves with the line that was typed. Absent where no person sits at the terminal. */
  readonly ask?: (question: string) => Promise<string>;
}

/** Adds one command to `signalbox`. What it runs throws a CommandFailed for what the user can mend. */
export type AddCommand = (program: Command, terminal: Terminal) => void;

/** Ends a command with exit code 1 and this sentence. */
export class CommandFailed extends SignalboxError {}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends CommandFailed {}
