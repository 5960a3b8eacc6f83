import { expect } from 'chai';
import { type App, path, queryTicket, type StoredTicket, type TicketStore, Tickets } from 'signalbox';
import { connect, type TestClock } from 'signalbox/testing';
import type { DependencyContainer } from 'tsyringe';
import { testProviders } from '../support/providers.js';
import { refusal } from '../support/refusal.js';
import { useServer } from '../support/serving.js';
import { inAnHour, MemberConsumer } from './authentication-support.js';

class SharedTickets implements TicketStore {
  static readonly all = new Map<string, StoredTicket>();

  async add(key: string, ticket: StoredTicket): Promise<void> {
    SharedTickets.all.set(key, ticket);
  }

  async take(key: string): Promise<StoredTicket | undefined> {
    const ticket = SharedTickets.all.get(key);
    SharedTickets.all.delete(key);
    return ticket;
  }
}

const origin = 'https://example.org';
const page = { origin, host: 'example.org' };
const ann = { userId: '1', sessionId: 's1', expiresAt: inAnHour };

describe('A ticket', () => {
  const serve = useServer();
  let app: App;
  let clock: TestClock;
  let container: DependencyContainer;

  async function start(options: object = {}): Promise<void> {
    ({ container, clock } = testProviders());
    const routes = [
      path('/ws/', MemberConsumer, { middleware: [queryTicket()] }),
      path('/key/', MemberConsumer, { middleware: [queryTicket({ parameter: 'key' })] }),
    ];
    ({ app } = serve(routes, { container, ...options }));
  }

  beforeEach(() => start());

  async function issue(from: string | undefined = origin): Promise<string> {
    return (await container.resolve(Tickets).issue(ann, from)).ticket;
  }

  async function who(url: string, headers: Record<string, string> = page) {
    await using client = await connect(app, url, { headers });
    return (await client.request('who')).data;
  }

  const refusalOf = (url: string, headers: Record<string, string> = page) => refusal(app, url, { headers });

  for (const [what, order] of [
    ['user', (): Promise<void> => app.disconnectUser('1')],
    ['session', (): Promise<void> => app.disconnectSession('s1')],
  ] as const) {
    it(`opens none where its ${what} was disconnected after it was issued`, async () => {
      const ticket = await issue();
      await app.disconnectUser('2');
      expect(await who(`/ws/?ticket=${await issue()}`)).to.deep.nested.include({ 'identity.userId': '1' });
      await order();
      expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include({ status: 401, message: 'The ticket is not valid.' });
      expect(await who(`/ws/?ticket=${await issue()}`)).to.deep.nested.include({ 'identity.userId': '1' });
    });

    it(`opens none between two disconnects of its ${what} in one millisecond, and one behind them`, async () => {
      await order();
      const [between, unused] = [await issue(), await issue()];
      await order();
      const behind = await issue();
      for (const ticket of [between, unused])
        expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include({ status: 401 });
      expect(await who(`/ws/?ticket=${behind}`)).to.deep.nested.include({ 'identity.userId': '1' });
    });
  }

  it('opens one socket for whom it was issued to, and is not seen afterwards', async () => {
    const ticket = await issue();
    expect(ticket).to.match(/^[\w-]{43}$/);
    expect(await who(`/ws/?ticket=${ticket}&page=1`)).to.deep.include({
      identity: { ...ann, expiresAt: inAnHour.toJSON() },
      query: 'page=1',
    });
    expect(await who(`/key/?key=${await issue()}`)).to.deep.nested.include({ 'identity.userId': '1' });
  });

  const refused = { status: 401, message: 'The ticket is not valid.' };

  it('is good for one upgrade', async () => {
    const ticket = await issue();
    await who(`/ws/?ticket=${ticket}`);
    expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
  });

  it('is bound to the page that it was issued to, and used up by another', async () => {
    await start({ settings: { origins: ['https://example.org', 'https://other.example.org'] } });
    const ticket = await issue();
    expect(await refusalOf(`/ws/?ticket=${ticket}`, { origin: 'https://other.example.org' })).to.include(refused);
    expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
    expect(await refusalOf(`/ws/?ticket=${await issue()}`, {})).to.include(refused);
    expect(await who(`/ws/?ticket=${await issue('HTTPS://Example.org:443')}`)).to.be.an('object');
  });

  it('that a client without an Origin header asked for is good without one only', async () => {
    const tickets = container.resolve(Tickets);
    const [first, second] = [await tickets.issue(ann, undefined), await tickets.issue(ann, undefined)];
    expect(await who(`/ws/?ticket=${first.ticket}`, {})).to.be.an('object');
    expect(await refusalOf(`/ws/?ticket=${second.ticket}`)).to.include(refused);
  });

  it('is good for 30 seconds, or as long as the application sets', async () => {
    const [early, late] = [await issue(), await issue()];
    clock.advance(29_999);
    expect(await who(`/ws/?ticket=${early}`)).to.be.an('object');
    clock.advance(1);
    expect(await refusalOf(`/ws/?ticket=${late}`)).to.include(refused);
    await start({ settings: { ticketLifetime: 1_000 } });
    const { ticket, expiresAt } = await container.resolve(Tickets).issue(ann, origin);
    expect(expiresAt).to.deep.equal(new Date('2026-01-01T00:00:01Z'));
    clock.advance(1_000);
    expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
  });

  it('is nothing where the identity has ended meanwhile', async () => {
    const tickets = container.resolve(Tickets);
    const endsAt = new Date(clock.now().getTime() + 10_000);
    const { ticket } = await tickets.issue({ userId: '1', expiresAt: endsAt }, origin);
    clock.advance(10_000);
    expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
  });

  for (const ticket of ['', 'wrong', '%ff', '%ED%A0%80', '__proto__']) {
    it(`is refused with 401 where it is none: "${ticket}"`, async () => {
      expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
    });
  }

  it('is asked for by permissions only', async () => {
    expect(await refusalOf('/ws/')).to.include({
      status: 401,
      message: 'Authentication credentials were not provided.',
    });
  });

  it('may wait in a store of the application, which learns a hash of it only', async () => {
    await start({ ticketStore: SharedTickets });
    const ticket = await issue();
    const [key = '', ...others] = SharedTickets.all.keys();
    expect(others).to.deep.equal([]);
    expect(key).to.match(/^[0-9a-f]{64}$/);
    expect(await who(`/ws/?ticket=${ticket}`)).to.be.an('object');
    expect(SharedTickets.all.size).to.equal(0);
  });

  it('that a store of the application gives too late is nothing', async () => {
    await start({ ticketStore: SharedTickets });
    const ticket = await issue();
    clock.advance(30_000);
    expect(await refusalOf(`/ws/?ticket=${ticket}`)).to.include(refused);
  });
});
