import type { Terminal } from '#signalbox/cli/command.js';

/** A terminal that keeps what is written to it. */
export class TestTerminal implements Terminal {
  written = '';
  errors = '';
  readonly ask?: (question: string) => Promise<string>;

  /** @param answers what a person types, line by line; without them nobody sits there */
  constructor(
    readonly folder: string = '/nowhere',
    readonly env: NodeJS.ProcessEnv = process.env,
    answers?: readonly string[],
  ) {
    if (!answers) return;
    const left = [...answers];
    this.ask = async (question) => {
      this.errors += question;
      const answer = left.shift();
      if (answer === undefined) throw new Error(`Nobody answers: ${question}`);
      return answer;
    };
  }

  readonly out = (text: string): void => {
    this.written += text;
  };

  readonly err = (text: string): void => {
    this.errors += text;
  };
}
