import { expect } from 'chai';
import { SignJWT } from 'jose';
import { type App, Tickets } from 'signalbox';
import { connect, type TestClock } from 'signalbox/testing';
import type { DependencyContainer } from 'tsyringe';
import { itIsATicketStore } from '../contracts/ticket-store-contract.js';
import { useDatabase } from '../support/database.js';
import { testProviders } from '../support/providers.js';
import { refusal } from '../support/refusal.js';
import {
  Account,
  DatabaseTickets,
  fastify,
  issuer,
  open,
  Session,
  Sessions,
  secret,
  Ticket,
  ticketRoute,
} from './examples.js';

const page = { origin: 'https://example.org', host: 'example.org' };
const tomorrow = new Date('2026-01-02T00:00:00Z');

describe('What the documentation of authentication shows', () => {
  const database = useDatabase('authentication', [Account, Session, Ticket]);
  let app: App;
  let container: DependencyContainer;
  let clock: TestClock;
  let ann: Account;

  beforeEach(async () => {
    ({ container, clock } = testProviders());
    app = open(database.orm, container);
    const em = database.orm.em.fork();
    ann = em.create(Account, { id: 1, name: 'ann', active: true });
    await em.flush();
  });
  afterEach(() => app.close());

  async function describeRoom(url: string, headers: Record<string, string>) {
    await using client = await connect(app, url, { headers });
    return (await client.request('describe')).data;
  }

  function token(sub: string): Promise<string> {
    const claims = { sub, iss: issuer, aud: 'chat', exp: tomorrow.getTime() / 1000 };
    return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(secret);
  }

  it('logs in by the cookie of a session in the database', async () => {
    const cookie = `session=${await new Sessions(database.orm.em.fork()).open(ann, tomorrow)}`;
    expect(await describeRoom('/ws/rooms/4/?page=2', { ...page, cookie })).to.deep.equal({
      room: 4,
      page: 2,
      userId: '1',
    });
    clock.advance(24 * 60 * 60 * 1000);
    expect(await refusal(app, '/ws/rooms/4/', { headers: { ...page, cookie } })).to.include({ status: 401 });
  });

  it('logs in by a JSON Web Token, as long as the account is active', async () => {
    const authorization = `Bearer ${await token('1')}`;
    expect(await describeRoom('/api/rooms/4/', { authorization })).to.deep.include({ userId: '1' });
    const header = { 'sec-websocket-protocol': `signalbox, bearer.${await token('1')}` };
    expect(await describeRoom('/api/rooms/4/', header)).to.deep.include({ userId: '1' });
    await database.orm.em.fork().nativeUpdate(Account, { id: 1 }, { active: false });
    expect(await refusal(app, '/api/rooms/4/', { headers: { authorization } })).to.include({ status: 401 });
  });

  it('logs in by a ticket that an HTTP route issues', async () => {
    const server = fastify();
    ticketRoute(server, container.resolve(Tickets), async () => ({
      userId: '1',
      sessionId: 's1',
      expiresAt: tomorrow,
    }));
    const answer = await server.inject({ method: 'POST', url: '/api/ticket', headers: { origin: page.origin } });
    const { ticket } = answer.json<{ ticket: string }>();
    await server.close();
    expect(await describeRoom(`/ws/rooms/4/?ticket=${ticket}`, page)).to.deep.include({ userId: '1', page: 1 });
    expect(await refusal(app, `/ws/rooms/4/?ticket=${ticket}`, { headers: page })).to.include({ status: 401 });
  });

  describe('with tickets in the database', () => {
    itIsATicketStore(
      async () => new DatabaseTickets(database.orm.em.fork(), clock),
      (time) => clock.advance(time.getTime() - clock.now().getTime()),
    );
  });
});
