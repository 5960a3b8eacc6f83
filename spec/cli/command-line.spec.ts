import { expect } from 'chai';
import { type Command, CommandFailed, type Options } from '#signalbox/cli/command.js';
import { runCommandLine } from '#signalbox/cli/command-line.js';
import { TestTerminal } from '../support/test-terminal.js';

describe('The command line', () => {
  let terminal: TestTerminal;
  let given: Options | undefined;
  const greet: Command = {
    name: 'greet',
    summary: 'says a word',
    help: 'Usage: signalbox greet [--loud]\n',
    options: { loud: { type: 'boolean' }, word: { type: 'string', short: 'w' } },
    async run(options, { out }) {
      given = options;
      if (options.word === 'no') throw new CommandFailed('Nobody is there.');
      if (options.word === 'bug') throw new TypeError('a mistake of ours');
      out('hello\n');
    },
  };
  const run = (...words: string[]) => runCommandLine([greet], words, terminal);

  beforeEach(() => {
    terminal = new TestTerminal();
    given = undefined;
  });

  it('runs a command with its options and ends with 0', async () => {
    expect(await run('greet', '--loud', '-w', 'hi')).to.equal(0);
    expect({ ...given }).to.deep.equal({ loud: true, word: 'hi' });
    expect(terminal.written).to.equal('hello\n');
    expect(terminal.errors).to.equal('');
  });

  it('prints what there is for --help', async () => {
    const overview =
      'Usage: signalbox <command> [options]\n\n  greet  says a word\n\nsignalbox <command> --help says more.\n';
    expect(await run('--help')).to.equal(0);
    expect(await run('-h')).to.equal(0);
    expect(terminal.written).to.equal(overview + overview);
  });

  it("prints a command's own help, and does not run it", async () => {
    expect(await run('greet', '--loud', '--help')).to.equal(0);
    expect(terminal.written).to.equal('Usage: signalbox greet [--loud]\n');
    expect(given).to.equal(undefined);
  });

  it('ends with 1 and the sentence of a command that failed', async () => {
    expect(await run('greet', '--word', 'no')).to.equal(1);
    expect(terminal.errors).to.equal('Nobody is there.\n');
    expect(terminal.written).to.equal('');
  });

  it('ends with 2 where the command line is wrong', async () => {
    expect(await run()).to.equal(2);
    expect(await run('grete')).to.equal(2);
    expect(await run('greet', '--lout')).to.equal(2);
    expect(await run('greet', 'loudly')).to.equal(2);
    expect(await run('greet', '--word')).to.equal(2);
    expect(terminal.errors).to.contain('Usage: signalbox <command> [options]');
    expect(terminal.errors).to.contain('There is no command grete. The commands are: greet.\n');
    expect(terminal.errors).to.contain("Unknown option '--lout'. See `signalbox greet --help`.\n");
    expect(given).to.equal(undefined);
  });

  it('lets a mistake of its own through, with its stack', async () => {
    const failure = await run('greet', '--word', 'bug').catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(TypeError);
  });
});
