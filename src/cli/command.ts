import type { Command } from 'commander';
import { SignalboxError } from '../errors.js';

/** The environment of a command: it writes results to `out`, everything else to `err`. */
export interface Terminal {
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  out(text: string): void;
  err(text: string): void;
  /** Resolves with the typed line. Undefined if no user is at the terminal. */
  readonly ask?: (question: string) => Promise<string>;
}

/** Adds one command to `signalbox`. The command throws a CommandFailed for errors that the user can correct. */
export type AddCommand = (program: Command, terminal: Terminal) => void;

/** Ends a command with exit code 1 and this sentence. */
export class CommandFailed extends SignalboxError {}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends CommandFailed {}
