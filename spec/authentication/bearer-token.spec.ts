import { expect } from 'chai';
import { type App, bearerToken, cookieSession, identityUser, path } from 'signalbox';
import { connect } from 'signalbox/testing';
import { useServer } from '../support/serving.js';
import { RawClient, upgradeRequest } from '../support/sockets.js';
import { ApiTokens, asked, inAnHour, Sessions, Users, WhoConsumer } from './authentication-support.js';

describe('A bearer token', () => {
  const serve = useServer();
  let app: App;

  beforeEach(async () => {
    asked.length = 0;
    ({ app } = serve([
      path('/ws/', WhoConsumer, { middleware: [bearerToken(ApiTokens), cookieSession(Sessions), identityUser(Users)] }),
      path('/cookies/', WhoConsumer, { middleware: [cookieSession(Sessions)] }),
    ]));
  });

  async function who(headers: Record<string, string>) {
    await using ann = await connect(app, '/ws/', { headers });
    return (await ann.request('who')).data;
  }

  for (const authorization of ['Bearer ann', 'bearer ann', 'BEARER   ann  ']) {
    it(`says whose connection it is: ${authorization}`, async () => {
      expect(await who({ authorization })).to.deep.include({
        user: { id: '1' },
        identity: { userId: '1', sessionId: 's1', expiresAt: inAnHour.toJSON() },
      });
    });
  }

  it('comes before what stands behind it: the first piece that finds a credential decides', async () => {
    const headers = { authorization: 'Bearer bob', cookie: 'session=ann' };
    expect(await who(headers)).to.deep.nested.include({ 'identity.userId': '2' });
    expect(asked).to.deep.equal(['token bob']);
  });

  it('leaves other schemes to other pieces', async () => {
    expect(await who({ authorization: 'Basic YTpi' })).to.deep.include({ identity: null });
    expect(await who({})).to.deep.include({ identity: null });
    expect(asked).to.deep.equal([]);
  });

  for (const authorization of ['Bearer nobody', 'Bearer old', 'Bearer', 'Bearer ', 'Bearer two words', 'Bearer ä']) {
    it(`is refused with 401 and one sentence: ${authorization}`, async () => {
      const refused = connect(app, '/ws/', { headers: { authorization } });
      expect(await refused.catch((thrown: unknown) => thrown)).to.include({
        status: 401,
        code: 'not_authenticated',
        message: 'The token is not valid.',
      });
    });
  }

  it('is named by the refusal as the way to authenticate', async () => {
    const { port } = await app.listen({ host: '127.0.0.1' });
    using client = await RawClient.open(port);
    client.write(upgradeRequest('/ws/', { Authorization: 'Bearer nobody' }));
    const answer = await client.hear('The token is not valid.\n');
    expect(answer).to.match(/^HTTP\/1\.1 401 Unauthorized\r\n/);
    expect(answer).to.include('\r\nWWW-Authenticate: Bearer\r\n');
    using other = await RawClient.open(port);
    other.write(upgradeRequest('/cookies/', { Cookie: 'session=ann' }));
    expect(await other.hear('an Origin header.\n')).not.to.include('WWW-Authenticate');
  });
});
