import { expect } from 'chai';
import { ConfigurationError, type LogFields, type LogLevel, NotFound, TerminalLogger } from 'signalbox';

/** What a logger writes for one entry, with the time of day replaced. */
function written(
  { isTTY = false, level = 'debug' as LogLevel, limits = {} },
  write: (logger: TerminalLogger) => void,
): string {
  const chunks: string[] = [];
  write(new TerminalLogger(level, { isTTY, write: (text) => chunks.push(text) }, limits));
  return chunks.join('').replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, 'TIME');
}

/** Where colours are none of the matter. */
const plain = (message: string, fields?: LogFields): string => written({}, (logger) => logger.info(message, fields));

const coloured = (level: LogLevel, message: string, fields?: LogFields): string =>
  written({ isTTY: true }, (logger) => logger[level](message, fields));

describe('The log for developers', () => {
  it('is one line of text for each entry, with the time of day and the fields', () => {
    expect(plain('retrieve rooms #42 200 3 ms')).to.equal('TIME retrieve rooms #42 200 3 ms\n');
    expect(plain('Saying hello.', { to: 'ann', times: 2, loud: true, tags: ['a', 'b'], none: null })).to.equal(
      'TIME Saying hello. to=ann times=2 loud=true tags=["a","b"] none=null\n',
    );
  });

  it('names the level where something is wrong', () => {
    expect(written({}, (logger) => logger.warn('Mind this.'))).to.equal('TIME warn  Mind this.\n');
    expect(written({}, (logger) => logger.error('It failed.'))).to.equal('TIME error It failed.\n');
  });

  it('writes from its level on', () => {
    const all = (level: LogLevel): string =>
      written({ level }, (logger) => {
        for (const each of ['debug', 'info', 'warn', 'error'] as const) logger[each](each);
      });
    expect(all('warn')).to.equal('TIME warn  warn\nTIME error error\n');
    expect(all('debug').split('\n')).to.have.lengthOf(5);
  });

  it('quotes texts with spaces, and leaves out what is undefined', () => {
    expect(plain('A note.', { reason: 'no room left', path: '/ws/', user: undefined })).to.equal(
      'TIME A note. reason="no room left" path=/ws/\n',
    );
  });

  it('does not repeat a status that the message tells', () => {
    expect(plain('list rooms #1 404', { status: 404, code: 'not_found' })).to.equal(
      'TIME list rooms #1 404 code=not_found\n',
    );
    expect(plain('An upgrade was refused.', { status: 403 })).to.equal('TIME An upgrade was refused. status=403\n');
  });

  it('shows the stack of an error below the line, and those of its causes', () => {
    const error = new TypeError('outer', { cause: new Error('inner') });
    const lines = written({}, (logger) => logger.error('It failed.', { row: 1, error })).split('\n');
    expect(lines[0]).to.equal('TIME error It failed. row=1');
    expect(lines[1]).to.equal('    TypeError: outer');
    expect(lines[2]).to.match(/^ {8}at .*terminal-logger\.spec/);
    expect(lines.filter((line) => line.startsWith('    caused by'))).to.deep.equal(['    caused by Error: inner']);
  });

  it('shows what an AggregateError gathered, and a cause that is no error', () => {
    const error = new AggregateError([new Error('one', { cause: 'a reason' })], 'both');
    const heads = written({}, (logger) => logger.error('It failed.', { error }))
      .split('\n')
      .filter((line) => /^ {4}\S/.test(line) && !line.includes(' at '));
    expect(heads).to.deep.equal(['    AggregateError: both', '    caused by Error: one', '    caused by a reason']);
  });

  it('comes to an end with an error that caused itself', () => {
    const error = new Error('round');
    error.cause = error;
    const text = written({}, (logger) => logger.error('It failed.', { error }));
    expect(text.match(/caused by/g)).to.have.lengthOf(8);
    expect(text.endsWith('    caused by …\n')).to.equal(true);
  });

  it('shows no stack of a mistake that a client made', () => {
    const error = new NotFound('No such room.', {
      cause: new ConfigurationError({ class: 'A', reason: 'b', remedy: 'c' }),
    });
    expect(plain('A hook failed.', { error })).to.equal(
      'TIME A hook failed.\n    NotFound: No such room.\n    caused by ConfigurationError: A: b c\n',
    );
  });

  it('stays on its line, and in its direction, whatever a client put into it', () => {
    const forged = 'x\r\n12:00:00.000 error\u001b[31m\u2028\u202e';
    const error = Object.assign(new Error(forged), { stack: `Error: ${forged}` });
    const text = written({ isTTY: true }, (logger) => logger.info(forged, { [forged]: forged, error }));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the styles of the logger itself are taken out
    const shown = text.replaceAll(/\u001b\[(2|22)m/g, '');
    expect(shown).to.match(/^[^\p{Cc}\u2028\u202e]*\n {4}[^\p{Cc}\u2028\u202e]*\n {4}[^\p{Cc}\u2028\u202e]*\n$/u);
  });

  it('hides secrets, and cuts what is long', () => {
    expect(plain('Hello.', { password: 'hunter2' })).to.equal('TIME Hello. password=[redacted]\n');
    const limits = { text: 5, line: 12 };
    expect(written({ limits }, (logger) => logger.info('a message of some length', { a: 'abcdefghij' }))).to.equal(
      'TIME a message of… (12 more characters) a="abcde… (5… (18 more characters)\n',
    );
  });

  describe('on a terminal', () => {
    const { NO_COLOR } = process.env;
    beforeEach(() => {
      delete process.env['NO_COLOR'];
    });
    after(() => {
      if (NO_COLOR !== undefined) process.env['NO_COLOR'] = NO_COLOR;
    });

    it('has the status in green, yellow or red', () => {
      expect(coloured('info', 'list rooms #1 200 3 ms', { status: 200 })).to.equal(
        '\u001b[2mTIME\u001b[22m list rooms #1 \u001b[32m200\u001b[39m 3 ms\n',
      );
      expect(coloured('info', 'list rooms #1 404', { status: 404 })).to.equal(
        '\u001b[2mTIME\u001b[22m list rooms #1 \u001b[33m404\u001b[39m\n',
      );
      expect(coloured('info', 'list rooms #1 500 3 ms', { status: 500 })).to.equal(
        '\u001b[2mTIME\u001b[22m list rooms #1 \u001b[31m500\u001b[39m 3 ms\n',
      );
    });

    it('has the level in yellow or red, and dims fields, debug lines and the time', () => {
      expect(coloured('warn', 'Mind this.', { a: 1 })).to.equal(
        '\u001b[2mTIME\u001b[22m \u001b[33mwarn \u001b[39m Mind this. \u001b[2ma=1\u001b[22m\n',
      );
      expect(coloured('error', 'It failed.')).to.equal(
        '\u001b[2mTIME\u001b[22m \u001b[31merror\u001b[39m It failed.\n',
      );
      expect(coloured('debug', 'A detail.')).to.equal('\u001b[2mTIME\u001b[22m \u001b[2mA detail.\u001b[22m\n');
    });

    it('has no colours where NO_COLOR is set, to anything but nothing', () => {
      process.env['NO_COLOR'] = '1';
      expect(coloured('error', 'It failed.', { a: 1 })).to.equal('TIME error It failed. a=1\n');
      process.env['NO_COLOR'] = '';
      expect(coloured('error', 'It failed.')).to.include('\u001b[31m');
    });
  });
});
