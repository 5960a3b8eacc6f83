import { expect } from 'chai';
import { InMemoryTicketStore } from 'signalbox';
import { MemoryLogger, TestClock } from 'signalbox/testing';
import { itIsATicketStore } from '../contracts/ticket-store-contract.js';

describe('The ticket store in memory', () => {
  let clock = new TestClock();
  let logger = new MemoryLogger();

  beforeEach(() => {
    clock = new TestClock();
    logger = new MemoryLogger();
  });

  itIsATicketStore(
    async () => new InMemoryTicketStore(clock, logger),
    (time) => clock.advance(time.getTime() - clock.now().getTime()),
  );

  function ticket(seconds: number) {
    return { identity: { userId: '1' }, origin: undefined, endsAt: new Date(clock.now().getTime() + seconds * 1000) };
  }

  it('removes expired tickets, and then sets no timer', async () => {
    const store = new InMemoryTicketStore(clock, logger);
    await store.add('a', ticket(5));
    await store.add('b', ticket(30));
    clock.advance(10_000);
    expect(store.size).to.equal(1);
    clock.advance(20_000);
    expect(store.size).to.equal(0);
    expect(clock.waiting).to.equal(0);
    await store.add('c', ticket(5));
    expect(clock.waiting).to.equal(1);
  });

  it('is bounded: the oldest go, and a note is in the log, once until it was swept', async () => {
    const store = new InMemoryTicketStore(clock, logger, 2);
    for (const key of ['a', 'b', 'c', 'd']) await store.add(key, ticket(30));
    expect(store.size).to.equal(2);
    expect(await store.take('b')).to.equal(undefined);
    expect(await store.take('c')).not.to.equal(undefined);
    expect(logger.entries).to.deep.equal([
      { level: 'warn', message: 'There are too many tickets; the oldest are dropped.', fields: { capacity: 2 } },
    ]);
  });
});
