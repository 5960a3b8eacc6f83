import { expect } from 'chai';
import { ApiError, Conflict, type LogFields, Logger, type LogLevel, NotFound } from 'signalbox';

describe('The logger', () => {
  it('writes one JSON object a line, with time, level, message and fields', () => {
    const { logger, lines } = collecting('debug');
    logger.warn('A socket failed.', { path: '/ws/', count: 2 });
    const [line = ''] = lines;
    const { time, ...entry } = JSON.parse(line);
    expect(entry).to.deep.equal({ level: 'warn', message: 'A socket failed.', path: '/ws/', count: 2 });
    expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    expect(line.indexOf('\n')).to.equal(line.length - 1);
  });

  const levels: readonly [LogLevel, readonly string[]][] = [
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ];
  for (const [level, written] of levels) {
    it(`writes ${written.join(', ')} at the level ${level}`, () => {
      const { logger, entries } = collecting(level);
      logger.debug('one');
      logger.info('one');
      logger.warn('one');
      logger.error('one');
      expect(entries().map((entry) => entry['level'])).to.deep.equal(written);
    });
  }

  it('leaves debug out unless it is asked for', () => {
    const lines: string[] = [];
    const logger = new Logger(undefined, (line) => lines.push(line));
    logger.debug('quiet');
    logger.info('loud');
    expect(lines).to.have.lengthOf(1);
  });

  it('shows an error with its stack and its causes', () => {
    const { logger, entries } = collecting('info');
    const error = new TypeError('outer', { cause: new Error('inner', { cause: 'a text' }) });
    logger.error('It failed.', { error });
    const [entry] = entries();
    expect(entry).to.have.nested.include({
      'error.name': 'TypeError',
      'error.message': 'outer',
      'error.cause.name': 'Error',
      'error.cause.message': 'inner',
      'error.cause.cause': 'a text',
    });
    expect(entry).to.have.nested.property('error.stack').that.includes('logger.spec');
  });

  it('shows no stack of a mistake that a client made, and none of what caused it', () => {
    const { logger, entries } = collecting('info');
    const cause = new TypeError('The driver says no.');
    logger.info('It was refused.', { error: new Conflict('That name is taken.', { cause }) });
    logger.info('It was refused.', { error: new NotFound() });
    logger.info('It failed.', { error: new ApiError('The payment service does not answer.', { cause }) });
    const [conflict, absent, failed] = entries();
    expect(conflict?.['error']).to.deep.equal({
      name: 'Conflict',
      message: 'That name is taken.',
      cause: 'TypeError: The driver says no.',
    });
    expect(absent?.['error']).to.deep.equal({ name: 'NotFound', message: 'Not found.' });
    expect(failed).to.have.nested.property('error.stack').that.includes('logger.spec');
    expect(failed).to.have.nested.property('error.cause.stack').that.includes('logger.spec');
  });

  it('says which levels it writes', () => {
    const levels = ['debug', 'info', 'warn', 'error'] as const;
    const enabled = (logger: Logger) => levels.filter((level) => logger.isLevelEnabled(level));
    expect(enabled(new Logger('warn'))).to.deep.equal(['warn', 'error']);
    expect(enabled(new Logger())).to.deep.equal(['info', 'warn', 'error']);
  });

  it('shows what an AggregateError gathered', () => {
    const { logger, entries } = collecting('info');
    logger.error('It failed.', { error: new AggregateError([new Error('one'), new Error('two')], 'both') });
    expect(entries()[0]).to.have.nested.include({ 'error.errors[0].message': 'one', 'error.errors[1].message': 'two' });
  });

  it('keeps an entry on one line whatever a client put into it', () => {
    const { logger, lines } = collecting('info');
    const forged = 'x\r\n{"level":"error"}\u2028\u2029\u001b[31m\u009b31m\u007f';
    logger.info(forged, { [forged]: forged });
    expect(lines).to.have.lengthOf(1);
    expect(lines[0]).to.match(/^[^\p{Cc}\u2028\u2029]*\n$/u);
    expect(JSON.parse(lines[0] ?? '')).to.include({ message: forged, [forged]: forged });
  });

  it('does not let a field pass for the level, the time or the message', () => {
    const { logger, entries } = collecting('info');
    logger.info('real', { level: 'error', message: 'forged', time: 'never' });
    expect(entries()[0]).to.include({ level: 'info', message: 'real' });
    expect(entries()[0]).not.to.include({ time: 'never' });
  });

  it('shows a bigint as text', () => {
    const { logger, entries } = collecting('info');
    logger.info('big', { pk: 9_007_199_254_740_993n });
    expect(entries()[0]).to.include({ pk: '9007199254740993' });
  });

  const awkward: Readonly<Record<string, () => LogFields>> = {
    'a circular field': () => {
      const loop: Record<string, unknown> = { name: 'loop' };
      loop['self'] = loop;
      return { good: 1, loop };
    },
    'an error that is its own cause': () => {
      const error = new Error('round');
      error.cause = error;
      return { good: 1, error };
    },
    'a toJSON that throws': () => ({
      good: 1,
      bad: {
        toJSON() {
          throw new Error('no');
        },
      },
    }),
    'a getter that throws': () => ({
      good: 1,
      bad: {
        get value() {
          throw new Error('no');
        },
      },
    }),
    'a revoked proxy': () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { good: 1, bad: proxy };
    },
  };
  for (const [name, fields] of Object.entries(awkward)) {
    it(`writes an entry with ${name}`, () => {
      const { logger, entries } = collecting('info');
      logger.info('awkward', fields());
      expect(entries()[0]).to.include({ message: 'awkward', good: 1 });
    });
  }

  it('takes nothing with it where writing fails', () => {
    const broken = new Logger('info', () => {
      throw new Error('The disk is full.');
    });
    expect(() => broken.error('lost')).not.to.throw();
  });
});

function collecting(level: LogLevel) {
  const lines: string[] = [];
  const logger = new Logger(level, (line) => lines.push(line));
  const entries = (): Record<string, unknown>[] => lines.map((line) => JSON.parse(line));
  return { logger, lines, entries };
}
