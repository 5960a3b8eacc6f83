import type { Terminal } from '#signalbox/cli/command.js';

/** A terminal that keeps what is written to it. */
export class TestTerminal implements Terminal {
  written = '';
  errors = '';

  constructor(readonly folder: string = '/nowhere') {}

  readonly out = (text: string): void => {
    this.written += text;
  };

  readonly err = (text: string): void => {
    this.errors += text;
  };
}
