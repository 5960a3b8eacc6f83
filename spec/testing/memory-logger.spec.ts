import { expect } from 'chai';
import { Logger } from 'signalbox';
import { MemoryLogger } from 'signalbox/testing';

describe('The logger of the testing kit', () => {
  it('keeps every entry, of every level', () => {
    const logger = new MemoryLogger();
    expect(logger).to.be.instanceOf(Logger);
    logger.debug('one', { n: 1 });
    logger.info('two');
    logger.warn('three');
    logger.error('four', { n: 4 });
    expect(logger.entries).to.deep.equal([
      { level: 'debug', message: 'one', fields: { n: 1 } },
      { level: 'info', message: 'two', fields: {} },
      { level: 'warn', message: 'three', fields: {} },
      { level: 'error', message: 'four', fields: { n: 4 } },
    ]);
    expect(logger.at('error')).to.deep.equal([{ level: 'error', message: 'four', fields: { n: 4 } }]);
  });
});
