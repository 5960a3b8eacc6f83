import { expect } from 'chai';
import { type AddCommand, CommandFailed } from '#signalbox/cli/command.js';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { TestTerminal } from '../support/test-terminal.js';

describe('The command line', () => {
  let terminal: TestTerminal;
  let given: object | undefined;
  const greet: AddCommand = (program, { out }) => {
    program
      .command('greet')
      .summary('say a word')
      .description('Says a word.')
      .option('--loud', 'say it loudly')
      .option('-w, --word <text>', 'the word')
      .action(async (options: { readonly word?: string }) => {
        given = options;
        if (options.word === 'no') throw new CommandFailed('The word is no.');
        if (options.word === 'bug') throw new TypeError('a mistake of ours');
        out('hello\n');
      });
  };
  const run = (...words: string[]) => runCommandLine([greet], words, terminal);

  beforeEach(() => {
    terminal = new TestTerminal();
    given = undefined;
  });

  it('runs a command with its options and ends with 0', async () => {
    expect(await run('greet', '--loud', '-w', 'hi')).to.equal(0);
    expect(given).to.deep.equal({ loud: true, word: 'hi' });
    expect(terminal.written).to.equal('hello\n');
    expect(terminal.errors).to.equal('');
  });

  const overview = `Usage: signalbox [options] [command]

The command of Signalbox: REST-like actions and live models over one WebSocket.

Options:
  -v, --version    print the version of Signalbox
  -h, --help       print this help

Commands:
  greet [options]  say a word

signalbox <command> --help describes the options of a command.
`;

  it('lists the commands for --help', async () => {
    expect(await run('--help')).to.equal(0);
    expect(await run('-h')).to.equal(0);
    expect(terminal.written).to.equal(overview + overview);
    expect(terminal.errors).to.equal('');
  });

  it('lists the commands on the error output, and ends with 2, where no command is named', async () => {
    expect(await run()).to.equal(2);
    expect(terminal.errors).to.equal(overview);
    expect(terminal.written).to.equal('');
  });

  it("prints a command's own help, and does not run it", async () => {
    expect(await run('greet', '--loud', '--help')).to.equal(0);
    expect(terminal.written).to.equal(`Usage: signalbox greet [options]

Says a word.

Options:
  --loud             say it loudly
  -w, --word <text>  the word
  -h, --help         print this help
`);
    expect(given).to.equal(undefined);
  });

  it('ends with 1 and the sentence of a command that failed', async () => {
    expect(await run('greet', '--word', 'no')).to.equal(1);
    expect(terminal.errors).to.equal('The word is no.\n');
    expect(terminal.written).to.equal('');
  });

  const mistakes: ReadonlyArray<readonly [typed: string, answer: string]> = [
    ['grete', "error: unknown command 'grete'\n(Did you mean greet?)\nSee: signalbox --help\n"],
    ['greet --lout', "error: unknown option '--lout'\n(Did you mean --loud?)\nSee: signalbox greet --help\n"],
    [
      'greet loudly',
      "error: too many arguments for 'greet'. Expected 0 arguments but got 1.\nSee: signalbox greet --help\n",
    ],
    ['greet --word', "error: option '-w, --word <text>' argument missing\nSee: signalbox greet --help\n"],
  ];
  for (const [typed, answer] of mistakes) {
    it(`answers "signalbox ${typed}" with what is wrong, and ends with 2`, async () => {
      expect(await run(...typed.split(' '))).to.equal(2);
      expect(terminal.errors).to.equal(answer);
      expect(terminal.written).to.equal('');
      expect(given).to.equal(undefined);
    });
  }

  it('lets a mistake of its own through, with its stack', async () => {
    const failure = await run('greet', '--word', 'bug').catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(TypeError);
  });
});
