import { expect } from 'chai';
import { MemoryLogger } from 'signalbox/testing';
import { LooseEntries } from '#signalbox/log/loose-entries.js';
import { until } from '../support/deadline.js';

describe('Entries that are no part of a transaction', () => {
  let logger: MemoryLogger;
  let written: string[][];
  let isAway: boolean;

  beforeEach(() => {
    logger = new MemoryLogger();
    written = [];
    isAway = false;
  });

  function entries(most?: number): LooseEntries {
    const write = async (texts: readonly string[]): Promise<void> => {
      if (isAway) throw new Error('away');
      written.push(texts.map((text) => JSON.parse(text).signals[0].payload));
    };
    return new LooseEntries(write, () => logger, most);
  }

  const signal = (payload: string) => ({ signals: [{ names: ['a'], payload }] });

  it('are written in the order in which they were given, all that wait at once', async () => {
    const loose = entries();
    await Promise.all(['1', '2', '3'].map((payload) => loose.add(signal(payload))));
    expect(written.flat()).to.deep.equal(['1', '2', '3']);
    expect(written.length).to.equal(2);
  });

  it('have keys that processes of other versions read', async () => {
    const texts: string[] = [];
    const loose = new LooseEntries(
      async (more) => void texts.push(...more),
      () => logger,
    );
    const command = { command: { kind: 'recheck', owner: { user: '7' } }, source: 'a', at: 1 } as const;
    await loose.add({ commands: [command] });
    const { id, ...entry } = JSON.parse(texts.join());
    expect(id).to.be.a('string');
    expect(entry).to.deep.equal({ v: 1, rows: [], after: [], orders: [command] });
  });

  it('are kept while the database is away, which the log says once', async () => {
    const loose = entries();
    isAway = true;
    await loose.add(signal('1'));
    void loose.add(signal('2'));
    await until(() => logger.entries.length > 0, 'The warning');
    isAway = false;
    await until(() => written.flat().length === 2, 'The end of the outage');
    expect(written.flat()).to.deep.equal(['1', '2']);
    expect(logger.entries.map(({ level, message }) => [level, message])).to.deep.equal([
      [
        'warn',
        'Commands, rechecks and signals for other processes cannot be written to the change log. They are kept, and tried again.',
      ],
    ]);
  });

  it('are refused where too many wait', async () => {
    const loose = entries(2);
    isAway = true;
    await Promise.all([loose.add(signal('1')), loose.add(signal('2'))]);
    expect(await loose.add(signal('3')).catch((error: Error) => error.message)).to.equal(
      '2 connection commands and rechecks wait for the database already: other processes will not receive this one.',
    );
    await loose.stop();
  });

  it('are tried once more at the end, and what is lost then is in the log', async () => {
    const loose = entries();
    isAway = true;
    await loose.add(signal('1'));
    await loose.stop();
    expect(logger.at('error').map(({ message, fields }) => [message, fields['count']])).to.deep.equal([
      [
        'Commands, rechecks and signals for other processes could not be written to the change log before it stopped.',
        1,
      ],
    ]);
    const other = entries();
    await other.add(signal('2'));
    isAway = false;
    await other.stop();
    expect(written.flat()).to.deep.equal(['2']);
  });
});
