import { expect } from 'chai';
import type { StoredTicket, TicketStore } from 'signalbox';

/** What holds for every ticket store. @param moveTo sets the time that the store goes by */
export function itIsATicketStore(open: () => Promise<TicketStore>, moveTo: (time: Date) => void): void {
  const start = new Date('2026-01-01T00:00:00Z');
  const ticket: StoredTicket = {
    identity: { userId: '1', sessionId: 's1', expiresAt: new Date('2026-01-01T08:00:00Z') },
    origin: 'https://example.org',
    endsAt: new Date('2026-01-01T00:00:30Z'),
  };
  let store: TicketStore;

  beforeEach(async () => {
    moveTo(start);
    store = await open();
  });

  it('gives back what was added, once', async () => {
    await store.add('a', ticket);
    await store.add('b', { identity: { userId: '2' }, origin: undefined, endsAt: ticket.endsAt });
    expect(await store.take('a')).to.deep.equal(ticket);
    expect(await store.take('a')).to.equal(undefined);
    expect(await store.take('b')).to.deep.equal({
      identity: { userId: '2' },
      origin: undefined,
      endsAt: ticket.endsAt,
    });
  });

  it('gives one of many that take at once', async () => {
    await store.add('a', ticket);
    const taken = await Promise.all(Array.from({ length: 20 }, () => store.take('a')));
    expect(taken.filter((one) => one !== undefined)).to.deep.equal([ticket]);
  });

  it('gives nothing for a key that nobody added', async () => {
    expect(await store.take('a')).to.equal(undefined);
    expect(await store.take('__proto__')).to.equal(undefined);
  });

  it('gives nothing from the moment at which a ticket ends', async () => {
    await store.add('a', ticket);
    await store.add('b', ticket);
    moveTo(new Date('2026-01-01T00:00:29.999Z'));
    expect(await store.take('a')).to.deep.equal(ticket);
    moveTo(ticket.endsAt);
    expect(await store.take('b')).to.equal(undefined);
  });
}
